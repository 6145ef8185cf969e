//! What the dev server's pages share.

/// Returns the text with the characters escaped that HTML would read.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
