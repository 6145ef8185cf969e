//! Request bodies, each declared once: [`request_body!`](crate::request_body) makes the reader and the schema of the
//! OpenAPI description from one list of members.

use serde_json::{Map, Value};
use utoipa::openapi::{
    RefOr,
    schema::{Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type},
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
                let mut schema = $crate::http::body::BodySchema::new(&[$($about),+]);
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
    description: String,
    properties: Vec<Property>,
}

struct Property {
    name: &'static str,
    schema: Object,
    required: bool,
    /// The number of the alternative that the property belongs to; none if it belongs to all.
    alternative: Option<usize>,
}

impl BodySchema {
    /// Returns a schema without members. `comment` holds the lines of the type's doc comment.
    pub fn new(comment: &[&str]) -> Self {
        Self { description: text_of(comment), properties: Vec::new() }
    }

    /// Adds a member that must be present.
    pub fn required(&mut self, name: &'static str, comment: &[&str], schema: ObjectBuilder) {
        self.add(name, comment, schema, true, None);
    }

    /// Adds a member that may be absent, or `null`.
    pub fn optional(&mut self, name: &'static str, comment: &[&str], schema: ObjectBuilder) {
        self.add(name, comment, schema, false, None);
    }

    /// Adds two members of which at most one may be present; with `required`, exactly one.
    pub fn alternatives(&mut self, required: bool, alternatives: [(&'static str, &[&str], ObjectBuilder); 2]) {
        for (number, (name, comment, schema)) in alternatives.into_iter().enumerate() {
            // The first alternative includes the case that both members are absent, so that exactly one matches.
            self.add(name, comment, schema, required || number > 0, Some(number));
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        comment: &[&str],
        schema: ObjectBuilder,
        required: bool,
        alternative: Option<usize>,
    ) {
        let mut schema = schema.description(Some(text_of(comment))).build();
        if let (false, SchemaType::Type(kind)) = (required, &schema.schema_type) {
            schema.schema_type = SchemaType::from_iter([kind.clone(), Type::Null]);
        }
        self.properties.push(Property { name, schema, required, alternative });
    }

    /// Returns the schema: an object or, if there are alternatives, a choice of two.
    pub fn build(self) -> RefOr<Schema> {
        let examples = self.examples();
        if self.properties.iter().all(|property| property.alternative.is_none()) {
            return self.object(None).description(Some(self.description)).examples(examples).into();
        }
        let choice = OneOfBuilder::new().description(Some(&self.description)).examples(examples);
        choice.item(self.object(Some(0))).item(self.object(Some(1))).into()
    }

    /// Returns the object of one alternative, in which the member of the other one is `null` or absent.
    fn object(&self, alternative: Option<usize>) -> ObjectBuilder {
        self.properties.iter().fold(ObjectBuilder::new(), |object, property| {
            if property.alternative.is_some() && property.alternative != alternative {
                return object.property(property.name, ObjectBuilder::new().schema_type(Type::Null));
            }
            let object = object.property(property.name, property.schema.clone());
            if property.required { object.required(property.name) } else { object }
        })
    }

    /// Returns examples of the whole body: one per alternative. They leave out what may be absent.
    fn examples(&self) -> Vec<Value> {
        let alternatives = self.properties.iter().filter_map(|property| property.alternative).max();
        let example = |alternative| {
            let is_in = |property: &&Property| {
                property.required && property.alternative.is_none_or(|number| number == alternative)
            };
            let members = self.properties.iter().filter(is_in).filter_map(|property| {
                property.schema.examples.first().map(|example| (property.name.to_owned(), example.clone()))
            });
            Value::Object(members.collect::<Map<_, _>>())
        };
        (0..=alternatives.unwrap_or(0)).map(example).collect()
    }
}

/// Returns the text of a doc comment.
fn text_of(comment: &[&str]) -> String {
    let lines: Vec<_> = comment.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n")
}
