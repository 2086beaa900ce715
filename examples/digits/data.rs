//! The UCI optical digits, compiled into the program.

use wgrad::{Dataset, Matrix};

const CSV: &[u8] = include_bytes!("optdigits.csv");

/// All 1,797 images as rows of 64 pixels in [0, 1], with their digits.
pub fn load() -> Result<Dataset, Box<dyn std::error::Error>> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for record in csv::Reader::from_reader(CSV).deserialize() {
        let mut row: Vec<f32> = record?;
        labels.push(row.pop().ok_or("an empty line")? as u32);
        pixels.extend(row.iter().map(|pixel| pixel / 16.0));
    }
    Ok(Dataset::classes(Matrix::new(64, pixels)?, labels)?)
}
