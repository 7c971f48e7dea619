//! The forms of wire names, checked here so that the error stands at the literal. The domain checks them again where it
//! makes the constants, so the two cannot drift apart unseen.

use syn::LitStr;

/// The longest name, in bytes.
const MAX_NAME: usize = 120;

/// Which form a name has.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Pascal,
    Kebab,
}

impl Form {
    /// `Err` at the literal when `name` has another form; `what` and `example` make the message.
    pub(crate) fn check(self, name: &LitStr, what: &str, example: &str) -> syn::Result<()> {
        let text = name.value();
        let (fits, expected) = match self {
            Self::Pascal => (
                is_pascal(&text),
                "PascalCase in past tense, 1 to 120 ASCII letters and digits",
            ),
            Self::Kebab => (
                is_kebab(&text),
                "lower-kebab-case, 1 to 120 ASCII lower-case letters, digits and single hyphens, first a letter",
            ),
        };
        if fits && text.len() <= MAX_NAME {
            return Ok(());
        }
        Err(syn::Error::new(
            name.span(),
            format!("`{text}` is no {what}: it must be {expected}, such as \"{example}\""),
        ))
    }
}

fn is_pascal(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_kebab(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(letters)
        && !text.ends_with('-')
        && !text.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_form_or_is_refused() {
        for good in ["a", "invitation-email", "v2", &"x".repeat(120)] {
            assert!(Form::Kebab.check(&literal(good), "topic", "a").is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "Send",
            "send-",
            "-send",
            "a--b",
            "2fa",
            "a b",
            "a_b",
            "é",
            "a/b",
            "a.b",
            &"x".repeat(121),
        ] {
            assert!(Form::Kebab.check(&literal(bad), "topic", "a").is_err(), "{bad:?}");
        }
        for good in ["X", "InvoicePaid", "Mp3Uploaded"] {
            assert!(
                Form::Pascal.check(&literal(good), "event name", "A").is_ok(),
                "{good:?}"
            );
        }
        for bad in [
            "",
            "invoicePaid",
            "Invoice-Paid",
            "Invoice_Paid",
            "1Paid",
            "É",
            &"X".repeat(121),
        ] {
            assert!(Form::Pascal.check(&literal(bad), "event name", "A").is_err(), "{bad:?}");
        }
    }

    fn literal(text: &str) -> LitStr {
        LitStr::new(text, proc_macro2::Span::call_site())
    }
}
