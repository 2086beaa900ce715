//! Plots of a run, as SVG. Whoever shows them has the fonts; how wide a text becomes is estimated here.

mod classes;
mod curves;

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use wgrad::Matrix;
use wgrad::data::Preparation;
use wgrad::files::replace;
use wgrad::metrics::Scores;

use crate::failure::Failure;
use crate::model;
use crate::report::Summary;
use classes::{ConfusionMatrix, LargestConfusions};

const SANS: &str = "sans-serif";
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const HELD: RGBColor = RGBColor(214, 97, 16);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// The most targets that have a plot of their own.
const MOST_TARGETS: usize = 9;
/// The most classes whose confusion matrix is drawn.
const MOST_CLASSES: usize = 50;
/// Pixels of a name beside a plot.
const NAME_ROOM: u32 = 160;

/// Text whose middle, up and down, is at the place given.
const fn middle(h_pos: HPos) -> Pos {
    let v_pos = VPos::Center;
    Pos { h_pos, v_pos }
}

const LEFT: Pos = middle(HPos::Left);
const CENTRE: Pos = middle(HPos::Center);
const RIGHT: Pos = middle(HPos::Right);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A plot that was drawn.
pub struct Plotted {
    /// What it shows.
    pub title: &'static str,
    /// The name of its file, without the ending.
    pub name: &'static str,
}

/// Draws the plots of a run into its folder, and says which.
pub fn run(
    folder: &Path,
    summary: &Summary,
    pairs: Option<&(Matrix<f64>, Matrix<f64>)>,
    preparation: &Preparation,
) -> Result<Vec<Plotted>, Failure> {
    let mut plotted = Vec::new();
    let history = &summary.history;
    if !history.epochs.is_empty() {
        let title = "Learning curve";
        let mut epochs = history.epochs.iter();
        let accuracy = epochs.any(|e| e.validation.and_then(|v| v.accuracy).is_some());
        let size = (900, if accuracy { 760 } else { 460 });
        let plot = write(folder, title, "learning-curve", size, |area| {
            curves::learning(area, history)
        });
        plotted.push(plot?);
    }
    match &summary.report.scores {
        Scores::Classification(c) => match &c.confusion {
            Some(confusion) if confusion.classes() <= MOST_CLASSES => {
                let plot = ConfusionMatrix::new(confusion, &c.names);
                let (title, name) = ("Confusion matrix", "confusion-matrix");
                let plot = write(folder, title, name, plot.size(), |area| plot.draw(area));
                plotted.push(plot?);
            }
            _ if c.most_confused.pairs.is_empty() => {}
            _ => {
                let plot = LargestConfusions::new(&c.most_confused, &c.names);
                let (title, name) = ("Largest confusions", "largest-confusions");
                let plot = write(folder, title, name, plot.size(), |area| plot.draw(area));
                plotted.push(plot?);
            }
        },
        _ => {
            if let Some((predicted, targets)) = pairs {
                let names = model::target_names(preparation);
                let names = &names[..names.len().min(MOST_TARGETS)];
                let columns = names.len().min(3) as u32;
                let size = (columns * 460, (names.len() as u32).div_ceil(columns) * 460);
                let (title, name) = ("Predicted against true", "predicted-against-true");
                let plot = write(folder, title, name, size, |area| {
                    curves::predicted_against_true(area, predicted, targets, names)
                });
                plotted.push(plot?);
            }
        }
    }
    Ok(plotted)
}

/// Writes a plot as `NAME.svg`.
fn write(
    folder: &Path,
    title: &'static str,
    name: &'static str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<Plotted, Failure> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = (|| {
            area.fill(&WHITE)?;
            draw(&area)?;
            Ok(area.present()?)
        })();
        let fail = |e: Box<dyn std::error::Error>| format!("{name} cannot be drawn: {e}");
        drawn.map_err(|e| Failure::File(fail(e)))?;
    }
    replace(folder.join(format!("{name}.svg")), svg.as_bytes())?;
    Ok(Plotted { title, name })
}

/// Sizes are even: of an odd one plotters rounds the halves of pixels so that a point stands above the line.
fn text(size: u32, color: RGBColor) -> TextStyle<'static> {
    (SANS, size).into_font().color(&color)
}

/// Pixels that a text is wide, about, in a usual font without serifs.
fn width(text: &str, size: u32) -> u32 {
    let hundredths = |c: char| match c {
        'W' | 'M' | 'm' | 'w' | '@' | '%' | '—' => 95,
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | ' '..='/' | ':' | ';' | '|' => 38,
        c if c.is_uppercase() => 72,
        c if u32::from(c) >= 0x2e80 => 100,
        _ => 61,
    };
    // A size is that of a line, 1.24 times the letters'.
    (text.chars().map(hundredths).sum::<u32>() * size).div_ceil(124)
}

/// The text, shortened to so many pixels where it is wider.
fn fitted(text: &str, size: u32, room: u32) -> String {
    // No text has room for more; and what is no character of a line would break the file.
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut chars: Vec<char> = text.chars().take(200).map(plain).collect();
    let mut out: String = chars.iter().collect();
    let mut cut = text.chars().nth(200).is_some();
    while cut || width(&out, size) > room {
        if chars.pop().is_none() {
            return String::new();
        }
        out = chars.iter().chain(&['…']).collect();
        cut = false;
    }
    out
}
