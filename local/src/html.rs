//! What the dev server's pages share.

/// Returns the text with the characters escaped that HTML would read.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The beginning of a page, up to its title.
macro_rules! head {
    () => {
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
"#
    };
}

/// The style of a page of one column.
macro_rules! column_style {
    () => {
        r#"  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.4rem; margin: 0; }
  .about { margin: .2rem 0 1.5rem; opacity: .7; }
"#
    };
}

/// The style of a list of boxes, and of the box in the place of an empty one.
macro_rules! list_style {
    () => {
        r#"  ol { list-style: none; margin: 0; padding: 0; }
  li { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: .7rem; padding: .7rem 1rem; margin-bottom: .8rem; }
  .none { border: 1px dashed color-mix(in srgb, currentColor 20%, transparent); border-radius: .7rem; padding: .7rem 1rem; opacity: .8; }
"#
    };
}

pub(crate) use {column_style, head, list_style};
