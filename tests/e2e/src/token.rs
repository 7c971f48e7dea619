//! The tokens of links in e-mails.

/// How many letters and digits 128 bits take.
const DIGITS: usize = 22;

/// The token of a link, or the secret of an API key: letters and digits, the last 22 of which are random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(String);

impl Token {
    /// Takes a token.
    pub fn new(text: &str) -> Self {
        assert!(
            text.len() >= DIGITS && text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{text}"
        );
        Self(text.to_owned())
    }

    /// Those of the links in a text, each once.
    pub fn all_in(text: &str) -> Vec<Self> {
        let fragments = text.split('#').skip(1);
        let mut tokens: Vec<Self> = fragments
            .map(|rest| {
                rest.split(|next: char| !next.is_ascii_alphanumeric())
                    .next()
                    .unwrap_or_default()
            })
            .filter(|token| token.len() == DIGITS || token.len() == 2 * DIGITS)
            .map(Self::new)
            .collect();
        tokens.sort();
        tokens.dedup();
        tokens
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its random digits.
    pub fn secret(&self) -> &str {
        &self.0[self.0.len() - DIGITS..]
    }

    /// The number its random digits stand for.
    pub fn secret_bytes(&self) -> [u8; 16] {
        number(self.secret()).to_be_bytes()
    }

    /// The invitation that the token of an invitation names, as 32 hex digits.
    pub fn invitation_id(&self) -> String {
        format!("{:032x}", number(&self.0[..DIGITS]))
    }
}

fn number(digits: &str) -> u128 {
    digits.bytes().fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            _ => digit - b'a' + 36,
        };
        number * 62 + u128::from(value)
    })
}
