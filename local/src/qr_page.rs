//! `/dev/qr`: shows the QR code of an enrollment to the camera of a phone. The page draws what is pasted into it, and
//! sends it nowhere, because it holds the secret of a second factor. Only the dev server has it.

use crate::html::{column_style, head};

/// The page.
pub(crate) const PAGE: &str = concat!(
    head!(),
    r#"<title>QR code</title>
<style>
"#,
    column_style!(),
    r#"  textarea { box-sizing: border-box; width: 100%; height: 6rem; font: .8rem monospace; border-radius: .7rem; padding: .7rem 1rem; }
  img { display: block; width: min(100%, 18rem); margin: 1rem auto; background: #fff; border-radius: .7rem; }
  img:not([src]) { display: none; }
</style>
</head>
<body>
<h1>QR code</h1>
<p class="about">Paste the response of <code>POST /auth/mfa/enroll</code>, or its <code>qr_svg</code>, and scan the code with an authenticator
app. It stays in this page.</p>
<textarea aria-label="Response of mfa/enroll" autofocus spellcheck="false"></textarea>
<p role="status"></p>
<img alt="The QR code of the enrollment">
<script>
  const [input, status, image] = ["textarea", "p[role]", "img"].map((name) => document.querySelector(name));
  input.addEventListener("input", () => {
    let svg = input.value.trim();
    try { svg = JSON.parse(svg).qr_svg ?? ""; } catch { /* It is the picture itself. */ }
    const isSvg = typeof svg === "string" && svg.includes("<svg");
    // As a picture, it runs no script and loads nothing.
    if (isSvg) image.src = "data:image/svg+xml," + encodeURIComponent(svg);
    else image.removeAttribute("src");
    status.textContent = isSvg || !input.value.trim() ? "" : "This has no qr_svg.";
  });
</script>
</body>
</html>
"#
);
