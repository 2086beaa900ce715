//! Data sets on a device: how their rows are laid out in words of 16 bytes. shaders/gather_inputs.wgsl and
//! shaders/small_network.wgsl read them.

use half::f16;

use super::Read;
use crate::number::scalar::Scalar;

/// How the inputs of a data set are kept on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Format {
    F32,
    F16,
    U8 { scale: f64 },
}

impl Format {
    /// The number that the kernels know it by; 0 is a batch that was uploaded.
    pub fn code(self) -> u32 {
        match self {
            Format::F32 => 1,
            Format::F16 => 2,
            Format::U8 { .. } => 3,
        }
    }

    pub fn scale(self) -> f64 {
        match self {
            Format::U8 { scale } => scale,
            _ => 1.0,
        }
    }

    /// Words of 32 bits that a row takes.
    pub fn row_words(self, cols: u64) -> u64 {
        4 * match self {
            Format::F32 => cols.div_ceil(4),
            Format::F16 => cols.div_ceil(8),
            Format::U8 { .. } => cols.div_ceil(16),
        }
    }

    /// Appends a row in this format.
    pub fn encode(self, row: &[f32], out: &mut Vec<u32>) {
        let end = out.len() + self.row_words(row.len() as u64) as usize;
        match self {
            Format::F32 => out.extend(row.iter().map(|x| x.to_bits())),
            Format::F16 => out.extend(row.chunks(2).map(|pair| {
                let bits = |i: usize| pair.get(i).map_or(0, |&x| u32::from(half_bits(x)));
                bits(0) | bits(1) << 16
            })),
            Format::U8 { scale } => out.extend(row.chunks(4).map(|four| {
                let bytes = four.iter().enumerate();
                bytes.fold(0, |word, (i, &x)| {
                    word | u32::from(quantised(x, scale).unwrap_or(0)) << (8 * i)
                })
            })),
        }
        out.resize(end, 0);
    }

    /// The number that the device sees in place of `x`, or `None` where the format cannot hold it.
    pub fn holds(self, x: f32) -> Option<f32> {
        match self {
            Format::F32 => Some(x),
            Format::F16 => {
                let half = f16::from_bits(half_bits(x));
                half.is_finite().then(|| half.to_f32())
            }
            Format::U8 { scale } => quantised(x, scale).map(|q| f32::from(q) * scale as f32),
        }
    }
}

/// x as a half, rounded to nearest; to zero where it would be denormal, which a device may flush.
fn half_bits(x: f32) -> u16 {
    let half = f16::from_f32(x);
    if half.is_normal() || !half.is_finite() {
        half.to_bits()
    } else {
        0
    }
}

/// q with `q·scale = x` in f32, if there is such a byte.
fn quantised(x: f32, scale: f64) -> Option<u8> {
    let scale = scale as f32;
    let q = (x / scale).round();
    let exact = (0.0..=255.0).contains(&q) && (q * scale).to_bits() == (x + 0.0).to_bits();
    exact.then_some(q as u8)
}

/// The rows of a batch as a twin reads them, from data on a device in this `format`: rows `order[start..start + rows]`.
pub(crate) fn batch_rows<F: Scalar>(
    x: Read<'_, F>,
    order: &[u32],
    format: u32,
    start: u32,
    (rows, cols): (usize, usize),
    scale: f64,
) -> Vec<F> {
    let words = x.words();
    let format = match format {
        1 => Format::F32,
        2 => Format::F16,
        _ => Format::U8 { scale },
    };
    let stride = format.row_words(cols as u64) as usize;
    let mut out = Vec::with_capacity(rows * cols);
    for &row in &order[start as usize..][..rows] {
        let row = &words[row as usize * stride..][..stride];
        out.extend((0..cols).map(|c| match format {
            Format::F32 => F::of(f64::from(f32::from_bits(row[c]))),
            Format::F16 => {
                let bits = (row[c / 2] >> (16 * (c % 2))) as u16;
                F::of(f16::from_bits(bits).to_f64())
            }
            Format::U8 { scale } => {
                let byte = (row[c / 4] >> (8 * (c % 4))) & 255;
                F::of(scale) * F::of(f64::from(byte))
            }
        }));
    }
    out
}
