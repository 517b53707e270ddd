//! How a camera was held, as EXIF says it.

/// The tag of the orientation, and its type: a number of 16 bits.
const TAG: [u16; 2] = [0x0112, 3];

/// The orientation, 1 to 8, in EXIF data; 1, as stored, if they do not say it.
pub fn orientation_of(exif: &[u8]) -> u8 {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let read = |little: bool| -> Option<u16> {
        let u16_at = |at: usize| {
            let two = [*exif.get(at)?, *exif.get(at.checked_add(1)?)?];
            Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
        };
        let [low, high] = [u16_at(4)?, u16_at(6)?];
        let first =
            if little { u32::from(high) << 16 | u32::from(low) } else { u32::from(low) << 16 | u32::from(high) };
        let start = first as usize;
        let entry = |i: usize| start.checked_add(2 + 12 * i);
        let count = usize::from(u16_at(start)?);
        let found = (0..count).filter_map(entry).find(|&at| [u16_at(at), u16_at(at + 2)] == TAG.map(Some))?;
        u16_at(found + 8)
    };
    let value = match exif.get(..2) {
        Some(b"II") => read(true),
        Some(b"MM") => read(false),
        _ => None,
    };
    value.filter(|value| (1..=8).contains(value)).map_or(1, |value| value as u8)
}

/// Whether rows become columns.
pub fn swaps_sides(orientation: u8) -> bool {
    orientation > 4
}

/// A plane of rows of `width` bytes, turned upright: `PIL.ImageOps.exif_transpose`.
pub fn upright(plane: &[u8], width: usize, orientation: u8) -> Vec<u8> {
    let height = plane.len() / width;
    let (right, bottom) = (width - 1, height - 1);
    let (new_width, new_height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    let from = |x: usize, y: usize| match orientation {
        2 => (right - x, y),
        3 => (right - x, bottom - y),
        4 => (x, bottom - y),
        5 => (y, x),
        6 => (y, bottom - x),
        7 => (right - y, bottom - x),
        8 => (right - y, x),
        _ => (x, y),
    };
    let pixel = |at: usize| {
        let (x, y) = from(at % new_width, at / new_width);
        plane[y * width + x]
    };
    (0..new_width * new_height).map(pixel).collect()
}
