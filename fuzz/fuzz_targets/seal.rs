//! The checksum of checkpoints and models.

/// The bytes with the checksum that they have, if there is a place for it: what someone hostile would write.
pub fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    const BEGINNING: &[u8] = br#""wgrad":"{\"checksum\":\""#;
    const DIGITS: usize = 32;
    let windows = &mut bytes.windows(BEGINNING.len());
    let at = windows.position(|w| w == BEGINNING)? + BEGINNING.len();
    let mut bytes = bytes.to_vec();
    bytes.get_mut(at..at + DIGITS)?.fill(b'0');
    let digits = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes));
    bytes[at..at + DIGITS].copy_from_slice(digits.as_bytes());
    Some(bytes)
}
