//! Request bodies, each declared once: [`request_body!`](crate::request_body) makes the reader and the schema of the
//! OpenAPI description from one list of members.

use serde_json::{Map, Value};
use utoipa::openapi::{
    RefOr,
    schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, SchemaType, Type},
};

use super::fields::Fields;

/// Declares the type of a request body. Each member has a type that reads and describes it ([`Member`]), and a comment
/// that becomes its description. `= "…"` replaces the example of the type. `check` names a function that compares members
/// with each other, once all of them have been read.
///
/// ```
/// # use latchkey::domain::{password::Password, phone::KnownPhone};
/// latchkey::request_body! {
///     /// The phone and the password of an account.
///     pub struct ExampleRequest {
///         /// The account's phone.
///         phone: KnownPhone,
///         /// The account's password.
///         password: Password = "correct horse 42",
///     }
/// }
/// ```
#[macro_export]
macro_rules! request_body {
    (@example) => {
        None
    };
    (@example $example:literal) => {
        Some($example)
    };
    (
        $(#[doc = $about:literal])+
        $visibility:vis struct $name:ident {
            $($(#[doc = $doc:literal])+ $member:ident: $type:ty $(= $example:literal)?,)+
        }
        $(check $check:path;)?
    ) => {
        $(#[doc = $about])+
        $visibility struct $name {
            $($(#[doc = $doc])+ $member: $type,)+
        }

        impl $crate::http::FromFields for $name {
            fn from_fields(fields: &mut $crate::http::Fields<'_>) -> Option<Self> {
                $(let $member = <$type as $crate::http::body::Member>::read(fields, stringify!($member));)+
                let request = Self { $($member: $member?,)+ };
                $(let request = $check(request, fields)?;)?
                Some(request)
            }
        }

        impl ::utoipa::PartialSchema for $name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::schema::Schema> {
                let mut schema = $crate::http::body::BodySchema::new(stringify!($name), &[$($about),+]);
                $(
                    let example = $crate::request_body!(@example $($example)?);
                    <$type as $crate::http::body::Member>::describe(&mut schema, stringify!($member), &[$($doc),+], example);
                )+
                schema.build()
            }
        }

        impl ::utoipa::ToSchema for $name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(stringify!($name))
            }
        }
    };
}

/// A type of members of request bodies: reads a member, and describes what it reads.
pub trait Member: Sized {
    /// Takes the member, or reports why it is wrong.
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self>;

    /// Adds the member to the schema of the body. `comment` holds the lines of its doc comment. `example` replaces the
    /// example of the type.
    fn describe(schema: &mut BodySchema, name: &'static str, comment: &[&str], example: Option<&str>);
}

/// The schema of a request body while members are added to it.
pub struct BodySchema {
    name: &'static str,
    description: String,
    properties: Vec<Property>,
    /// The choice of members that depend on each other; empty if there is none.
    forms: &'static [Form],
}

struct Property {
    name: &'static str,
    schema: Object,
    presence: Presence,
}

/// Whether a member must be present.
#[derive(Clone, Copy)]
enum Presence {
    Required,
    Optional,
    /// The forms tell.
    Chosen,
}

/// One form of a body whose members depend on each other: those that must be present, and those that may be. The other
/// chosen members are absent, or `null`.
pub struct Form {
    /// The members that must be present.
    pub with: &'static [&'static str],
    /// The members that may be present.
    pub perhaps_with: &'static [&'static str],
}

impl BodySchema {
    /// Returns a schema without members. `comment` holds the lines of the type's doc comment.
    pub fn new(name: &'static str, comment: &[&str]) -> Self {
        Self { name, description: text_of(comment), properties: Vec::new(), forms: &[] }
    }

    /// Adds a member that must be present.
    pub fn required(&mut self, name: &'static str, comment: &[&str], schema: ObjectBuilder) {
        self.add(name, comment, schema, Presence::Required);
    }

    /// Adds a member that may be absent, or `null`.
    pub fn optional(&mut self, name: &'static str, comment: &[&str], schema: ObjectBuilder) {
        self.add(name, comment, schema, Presence::Optional);
    }

    /// Adds members that depend on each other. A body has one of the forms, and never two of them.
    pub fn choice<'a>(
        &mut self,
        members: impl IntoIterator<Item = (&'static str, &'a [&'a str], ObjectBuilder)>,
        forms: &'static [Form],
    ) {
        for (name, comment, schema) in members {
            self.add(name, comment, schema, Presence::Chosen);
        }
        self.forms = forms;
    }

    fn add(&mut self, name: &'static str, comment: &[&str], schema: ObjectBuilder, presence: Presence) {
        let schema = schema.description(Some(text_of(comment))).build();
        self.properties.push(Property { name, schema, presence });
    }

    /// Returns the schema: an object or, if members depend on each other, a choice of objects.
    pub fn build(self) -> RefOr<Schema> {
        const ALONE: Form = Form { with: &[], perhaps_with: &[] };
        if self.forms.is_empty() {
            let examples = [self.example(&ALONE)];
            return self.object(&ALONE).description(Some(self.description)).examples(examples).into();
        }
        // Never two at once: each object forbids the members of the others. Linters and generators take `anyOf` better
        // than `oneOf`.
        let examples = self.forms.iter().map(|form| self.example(form));
        let choice = AnyOfBuilder::new().description(Some(&self.description)).examples(examples);
        self.forms.iter().fold(choice, |choice, form| choice.item(self.object(form))).into()
    }

    /// Returns the object of one form.
    fn object(&self, form: &Form) -> ObjectBuilder {
        // Generators name types by it.
        let title = match (form.with, form.perhaps_with) {
            ([], []) => None,
            ([], names) => Some(format!("{} perhaps with {}", self.name, names.join(" and "))),
            (names, _) => Some(format!("{} with {}", self.name, names.join(" and "))),
        };
        self.properties.iter().fold(ObjectBuilder::new().title(title), |object, property| {
            let Property { name, schema, presence } = property;
            let is_in = |names: &[&str]| names.contains(name);
            match presence {
                Presence::Chosen if is_in(form.with) => object.property(*name, schema.clone()).required(*name),
                Presence::Chosen if is_in(form.perhaps_with) => object.property(*name, or_null(schema)),
                Presence::Chosen => object.property(*name, ObjectBuilder::new().schema_type(Type::Null)),
                Presence::Required => object.property(*name, schema.clone()).required(*name),
                Presence::Optional => object.property(*name, or_null(schema)),
            }
        })
    }

    /// Returns an example of the whole body in one form. It leaves out what may be absent.
    fn example(&self, form: &Form) -> Value {
        let is_in = |property: &&Property| match property.presence {
            Presence::Required => true,
            Presence::Optional => false,
            Presence::Chosen => form.with.contains(&property.name),
        };
        let members = self.properties.iter().filter(is_in).filter_map(|property| {
            property.schema.examples.first().map(|example| (property.name.to_owned(), example.clone()))
        });
        Value::Object(members.collect::<Map<_, _>>())
    }
}

/// Returns the schema of a member that may also be `null`.
fn or_null(schema: &Object) -> Object {
    let mut schema = schema.clone();
    if let SchemaType::Type(kind) = &schema.schema_type {
        schema.schema_type = SchemaType::from_iter([kind.clone(), Type::Null]);
    }
    schema
}

/// Returns the text of a doc comment.
fn text_of(comment: &[&str]) -> String {
    let lines: Vec<_> = comment.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n")
}
