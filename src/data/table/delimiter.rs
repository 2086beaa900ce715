//! What stands between two values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What stands between two values of a line. As text it is the character itself, `tab` or `whitespace`.
///
/// ```
/// use wgrad::Delimiter;
///
/// assert_eq!("tab".parse::<Delimiter>()?, Delimiter::Char('\t'));
/// assert_eq!("whitespace".parse::<Delimiter>()?, Delimiter::Whitespace);
/// assert_eq!(Delimiter::from(';').to_string(), ";");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Delimiter {
    /// One character, which a table takes if it is ASCII and no newline.
    Char(char),
    /// Spaces and tabs, as many as there are: columns that are aligned. At the ends of a line they do not count.
    Whitespace,
}

impl Delimiter {
    /// How messages call it.
    pub(crate) fn in_words(self) -> String {
        match self {
            Delimiter::Whitespace => "white space".into(),
            Delimiter::Char('\t') => "a tab".into(),
            Delimiter::Char(c) => format!("{c:?}"),
        }
    }
}

/// A space means white space, however much of it.
impl From<char> for Delimiter {
    fn from(c: char) -> Self {
        match c {
            ' ' => Self::Whitespace,
            c => Self::Char(c),
        }
    }
}

impl FromStr for Delimiter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next())
            && c.is_ascii()
        {
            return Ok(c.into());
        }
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "\\t" | "tab" => Self::Char('\t'),
            "space" | "spaces" | "whitespace" | "white space" => Self::Whitespace,
            "comma" => Self::Char(','),
            "semicolon" => Self::Char(';'),
            "pipe" => Self::Char('|'),
            "colon" => Self::Char(':'),
            _ => {
                let value = format!("{text:?}");
                let allowed = "one ASCII character, comma, semicolon, tab, pipe, or whitespace";
                return Err(Error::argument("the delimiter", value, allowed));
            }
        })
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delimiter::Whitespace => f.write_str("whitespace"),
            Delimiter::Char('\t') => f.write_str("tab"),
            Delimiter::Char(c) => write!(f, "{c}"),
        }
    }
}

impl TryFrom<String> for Delimiter {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Delimiter> for String {
    fn from(delimiter: Delimiter) -> Self {
        delimiter.to_string()
    }
}
