//! Whether a file is whole: decoders fill in what lacks, or do not look.

/// The first bytes of a PNG file.
pub const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The first bytes of a JPEG file: SOI and the begin of the next marker.
pub const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// Whether the chunks of a PNG file go on to IEND.
pub fn png_ends(bytes: &[u8]) -> bool {
    let mut at = PNG_SIGNATURE.len();
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(end) = at.checked_add(12 + length).filter(|&end| end <= bytes.len()) else { return false };
        if &head[4..] == b"IEND" {
            return true;
        }
        at = end;
    }
    false
}

/// Whether a RIFF file, such as a WebP image, has the bytes that it says.
pub fn riff_ends(bytes: &[u8]) -> bool {
    let length = bytes.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    length.is_some_and(|length| bytes.len() - 8 >= length)
}

/// Whether the segments of a JPEG file go on to EOI; a thumbnail's own does not count.
pub fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some((marker, after)) = next_marker(bytes, at) {
        at = match marker {
            0xd9 => return true,
            // Without a length: stuffing, TEM, restarts.
            0x00 | 0x01 | 0xd0..=0xd7 => after,
            _ => match bytes.get(after..after + 2) {
                Some(length) => after + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2),
                None => return false,
            },
        };
    }
    false
}

/// The next byte that follows an FF and is none itself, and the index after it.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let start = from + bytes.get(from..)?.iter().position(|&byte| byte == 0xff)?;
    let at = start + bytes[start..].iter().position(|&byte| byte != 0xff)?;
    Some((bytes[at], at + 1))
}
