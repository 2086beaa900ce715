//! How numbers are written: by which decimal mark, and with what between thousands.

use crate::data::table::number;

/// What a value looks like, before it is known what a comma or a point in it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Look {
    /// No number in any notation.
    Text,
    /// A whole number of at most three digits.
    Small,
    /// Another number without marks: `1234`, `1e5`, `inf`.
    Whole,
    /// A point that is a decimal mark if the value is a number: `1.5`, `0.125`.
    Point,
    /// `1.234`: a decimal mark, or one between thousands.
    PointOrGroup,
    /// `1,5`.
    Comma,
    /// `1,234`.
    CommaOrGroup,
    /// `1.234.567`.
    Points,
    /// `1,234,567`.
    Commas,
    /// `1.234,5`.
    PointsComma,
    /// `1,234.5`.
    CommasPoint,
    /// `1 234`, with a space of any kind.
    Spaces,
    /// `1 234.5`.
    SpacesPoint,
    /// `1 234,5`.
    SpacesComma,
    /// `1'234`.
    Quotes,
    /// `1'234.5`.
    QuotesPoint,
    /// `1'234,5`.
    QuotesComma,
}

/// Forms that there are.
pub(super) const LOOKS: usize = Look::QuotesComma as usize + 1;

/// What may stand between digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Point,
    Comma,
    Space,
    Quote,
}

/// Spaces that stand between thousands, the usual one first.
const SPACES: [char; 4] = [' ', '\u{a0}', '\u{202f}', '\u{2009}'];

/// Apostrophes that stand between thousands.
const QUOTES: [char; 2] = ['\'', '\u{2019}'];

/// Whether this may stand between thousands.
pub(super) fn is_thousands(c: char) -> bool {
    matches!(c, '.' | ',') || SPACES.contains(&c) || QUOTES.contains(&c)
}

/// The first character that is no digit, and the text behind it.
fn separator(text: &str) -> Option<(Separator, &str)> {
    let mut chars = text.chars();
    let kind = match chars.next()? {
        '.' => Separator::Point,
        ',' => Separator::Comma,
        c if SPACES.contains(&c) => Separator::Space,
        c if QUOTES.contains(&c) => Separator::Quote,
        _ => return None,
    };
    Some((kind, chars.as_str()))
}

/// Digits that a text begins with, and what is behind them.
fn digits(text: &str) -> (usize, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    (end, &text[end..])
}

/// Whether this is an exponent: `e-5`.
fn is_exponent(text: &str) -> bool {
    text.strip_prefix(['e', 'E']).is_some_and(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
    })
}

/// What a value looks like.
pub(super) fn look(text: &str) -> Look {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.as_bytes().first() {
        Some(b'0'..=b'9' | b'.' | b',') => of_digits(unsigned),
        // inf and nan.
        Some(b'i' | b'I' | b'n' | b'N') if number(text).is_some() => Look::Whole,
        _ => Look::Text,
    }
}

fn of_digits(text: &str) -> Look {
    let (first, mut rest) = digits(text);
    // Whether thousands may be marked so far.
    let mut grouped = (1..=3).contains(&first) && !text.starts_with('0');
    let mut seen: Option<(Separator, usize)> = None;
    let mut last = first;
    while !(rest.is_empty() || is_exponent(rest)) {
        let Some((kind, behind)) = separator(rest) else {
            return Look::Text;
        };
        match &mut seen {
            None => seen = Some((kind, 1)),
            Some((of, count)) if *of == kind => {
                grouped &= last == 3;
                *count += 1;
            }
            // Another mark can only be the decimal mark, and the last.
            Some((of, _)) => {
                let (fraction, end) = digits(behind);
                let whole = end.is_empty() && fraction > 0 && grouped && last == 3;
                return match (*of, kind) {
                    _ if !whole => Look::Text,
                    (Separator::Point, Separator::Comma) => Look::PointsComma,
                    (Separator::Comma, Separator::Point) => Look::CommasPoint,
                    (Separator::Space, Separator::Point) => Look::SpacesPoint,
                    (Separator::Space, Separator::Comma) => Look::SpacesComma,
                    (Separator::Quote, Separator::Point) => Look::QuotesPoint,
                    (Separator::Quote, Separator::Comma) => Look::QuotesComma,
                    _ => Look::Text,
                };
            }
        }
        (last, rest) = digits(behind);
    }
    grouped &= last == 3 && rest.is_empty();
    match seen {
        None if first == 0 => Look::Text,
        None if first <= 3 && rest.is_empty() => Look::Small,
        None => Look::Whole,
        Some((Separator::Point, 1)) if grouped => Look::PointOrGroup,
        Some((Separator::Point, 1)) if first + last > 0 => Look::Point,
        Some((Separator::Comma, 1)) if grouped => Look::CommaOrGroup,
        Some((Separator::Comma, 1)) if last > 0 => Look::Comma,
        Some((Separator::Point, 2..)) if grouped => Look::Points,
        Some((Separator::Comma, 2..)) if grouped => Look::Commas,
        Some((Separator::Space, _)) if grouped => Look::Spaces,
        Some((Separator::Quote, _)) if grouped => Look::Quotes,
        Some(_) => Look::Text,
    }
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notation {
    /// A point or a comma.
    pub decimal: char,
    /// What stands between thousands, if anything does.
    pub thousands: Option<char>,
}

impl Notation {
    pub const PLAIN: Self = Self {
        decimal: '.',
        thousands: None,
    };

    /// Whether what looks so is a number.
    pub fn reads(self, look: Look) -> bool {
        let point = self.decimal == '.';
        let between = |chars: &[char]| self.thousands.is_some_and(|c| chars.contains(&c));
        match look {
            Look::Text => false,
            Look::Small | Look::Whole => true,
            Look::Point => point,
            Look::PointOrGroup => point || between(&['.']),
            Look::Comma => !point,
            Look::CommaOrGroup => !point || between(&[',']),
            Look::Points => !point && between(&['.']),
            Look::Commas => point && between(&[',']),
            Look::PointsComma => !point && between(&['.']),
            Look::CommasPoint => point && between(&[',']),
            Look::Spaces => between(&SPACES),
            Look::SpacesPoint => point && between(&SPACES),
            Look::SpacesComma => !point && between(&SPACES),
            Look::Quotes => between(&QUOTES),
            Look::QuotesPoint => point && between(&QUOTES),
            Look::QuotesComma => !point && between(&QUOTES),
        }
    }

    /// A value as a number.
    pub fn number(self, text: &str) -> Option<f64> {
        if self == Self::PLAIN {
            return number(text);
        }
        let look = look(text);
        if !self.reads(look) {
            return None;
        }
        if matches!(look, Look::Small | Look::Whole) {
            return number(text);
        }
        let plain = text.chars().filter_map(|c| match c {
            c if c == self.decimal => Some('.'),
            c => (c.is_ascii_alphanumeric() || matches!(c, '+' | '-')).then_some(c),
        });
        number(&plain.collect::<String>())
    }
}

/// Signs and codes of money, and per cent.
const SIGNS: [&str; 24] = [
    "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₴", "₫", "₪", "฿", "₦", "₱", "¢", "%", "‰", "USD",
    "EUR", "GBP", "CHF", "JPY", "INR", "CNY",
];

/// The sign of money or of per cent before or behind a value that is a number but for it.
pub(crate) fn looks_like_money(text: &str) -> Option<&'static str> {
    let unsigned = text.trim_start_matches(['+', '-']);
    SIGNS.into_iter().find(|&sign| {
        let rest = unsigned.strip_prefix(sign).or(unsigned.strip_suffix(sign));
        rest.is_some_and(|rest| look(rest.trim()) != Look::Text)
    })
}

/// Whether this is a whole number in a form that no number keeps: with leading zeros, or beyond ±2⁵³.
pub(crate) fn is_identifier(text: &str) -> bool {
    const LARGEST: u64 = 1 << 53;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let zeros = digits.len() > 1 && digits.starts_with('0');
    zeros || digits.parse::<u64>().map_or(true, |x| x > LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_marks() {
        let by =
            |decimal, thousands| move |text: &str| Notation { decimal, thousands }.number(text);
        let point = by('.', None);
        for (text, x) in [
            ("1.5", Some(1.5)),
            ("-2e-3", Some(-0.002)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1.e2", Some(100.0)),
            ("350.904", Some(350.904)),
            ("1,5", None),
            ("1,234", None),
            ("1 234", None),
            ("x", None),
            ("", None),
            ("9007199254740993", Some(9007199254740992.0)),
        ] {
            assert_eq!(point(text), x, "{text}");
        }
        let english = by('.', Some(','));
        for (text, x) in [
            ("350,904", Some(350904.0)),
            ("-1,234,567.25", Some(-1234567.25)),
            ("936", Some(936.0)),
            ("1234.5", Some(1234.5)),
            ("1,5", None),
            ("0,125", None),
            ("1,23,456", None),
            ("1234,567", None),
            ("1,234.", None),
            ("1.234,5", None),
        ] {
            assert_eq!(english(text), x, "{text}");
        }
        let comma = by(',', None);
        for (text, x) in [
            ("1,5", Some(1.5)),
            ("-0,125", Some(-0.125)),
            ("1,5e3", Some(1500.0)),
            (",5", Some(0.5)),
            ("350,904", Some(350.904)),
            ("7", Some(7.0)),
            ("1.5", None),
            ("1.234,5", None),
            ("1,2,3", None),
        ] {
            assert_eq!(comma(text), x, "{text}");
        }
        let german = by(',', Some('.'));
        assert_eq!(german("1.234.567,5"), Some(1234567.5));
        assert_eq!(german("1.234"), Some(1234.0));
        assert_eq!(german("1.5"), None);
        for (thousands, text) in [
            (' ', "1 234 567,5"),
            (' ', "1\u{a0}234\u{202f}567,5"),
            ('\u{a0}', "1 234\u{2009}567,5"),
            ('\'', "1'234'567,5"),
            ('\'', "1\u{2019}234\u{2019}567,5"),
        ] {
            assert_eq!(by(',', Some(thousands))(text), Some(1234567.5), "{text}");
        }
        assert_eq!(by('.', Some(' '))("12 34"), None);
        assert_eq!(by('.', Some(' '))("1 234.5"), Some(1234.5));
    }

    /// What reads as plain numbers is what Rust reads.
    #[test]
    fn every_plain_number_is_one_by_its_form() {
        let pieces = [
            "1", "0", "12", "999", "1000", ".", "e", "E5", "+", "-", "inf", "NaN", " ",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let text = [a, b, c].concat();
                    let by_form = matches!(
                        look(&text),
                        Look::Small | Look::Whole | Look::Point | Look::PointOrGroup
                    );
                    assert_eq!(by_form, number(&text).is_some(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn identifiers_and_money_are_no_numbers() {
        let large = "9007199254740993 1800000000000000007 99999999999999999999999";
        for text in "00501 -01 007".split(' ').chain(large.split(' ')) {
            assert!(is_identifier(text), "{text}");
        }
        for text in "0 -0 0.5 00.5 1 501 9007199254740992 1e3  x01 -".split(' ') {
            assert!(!is_identifier(text), "{text}");
        }
        for (text, sign) in [
            ("$350,904", Some("$")),
            ("-$5", Some("$")),
            ("$-5", Some("$")),
            ("12 %", Some("%")),
            ("€ 3,50", Some("€")),
            ("3,50€", Some("€")),
            ("12 EUR", Some("EUR")),
            ("350,904", None),
            ("$", None),
            ("$ab", None),
            ("", None),
        ] {
            assert_eq!(looks_like_money(text), sign, "{text}");
        }
    }
}
