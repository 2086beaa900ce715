//! What was taken for what: a matrix of few classes, bars for many.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use wgrad::metrics::{Confused, Confusion, MostConfused};

use super::{Area, CENTRE, Drawn, FAINT, LEFT, NAME_ROOM, RIGHT, fitted, text, width};
use crate::output;

/// Classes up to which a count of 0 is written.
const NAUGHTS: usize = 20;
/// The most bars of a plot.
const MOST_BARS: usize = 30;

/// How often each class was taken for each other: rows are true classes, shades are shares of a row.
pub struct ConfusionMatrix<'a> {
    confusion: &'a Confusion,
    names: Vec<String>,
    side: u32,
    /// Room on the left and below, for the names.
    left: u32,
    below: u32,
}

impl<'a> ConfusionMatrix<'a> {
    const TITLE: &'static str = "Predicted class (across) for each true class (down)";
    const TOP: u32 = 50;

    pub fn new(confusion: &'a Confusion, names: &[String]) -> Self {
        let names: Vec<String> = names.iter().map(|n| fitted(n, 14, NAME_ROOM)).collect();
        let side = (confusion.classes() as u32 * 46).clamp(280, 1000);
        let widest = names.iter().map(|n| width(n, 14)).max().unwrap_or(0);
        let mut plot = Self {
            confusion,
            names,
            side,
            left: widest + 30,
            below: 40,
        };
        if plot.upright() {
            plot.below = widest + 24;
        }
        plot
    }

    /// Whether the names below stand upright: where one is wider than its column.
    fn upright(&self) -> bool {
        let column = self.side / self.confusion.classes() as u32;
        self.names.iter().any(|n| width(n, 14) + 4 > column)
    }

    pub fn size(&self) -> (u32, u32) {
        let title = width(Self::TITLE, 18) + 40;
        let width = (self.left + self.side + 30).max(title);
        (width, Self::TOP + self.side + self.below)
    }
}

/// A count in a few characters.
fn compact(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..10_000_000 => format!("{}k", n / 1000),
        10_000_000..10_000_000_000 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", n / 1_000_000_000),
    }
}

impl ConfusionMatrix<'_> {
    pub fn draw(&self, area: &Area<'_>) -> Drawn {
        let n = self.confusion.classes();
        let whole = self.size().0;
        // In the middle, where the title is wider than the matrix.
        let left = self.left + (whole - (self.left + self.side + 30)) / 2;
        let (side, left, top) = (self.side as i32, left as i32, Self::TOP as i32);
        let at = |i: usize| i as i32 * side / n as i32;
        let room = side / n as i32;
        let size = (room * 2 / 5).clamp(8, 14) as u32 & !1;
        let title = text(18, BLACK).pos(CENTRE);
        area.draw(&Text::new(Self::TITLE, (whole as i32 / 2, 24), title))?;
        for (t, counts) in self.confusion.counts().iter().enumerate() {
            let all: u64 = counts.iter().sum();
            for (p, &count) in counts.iter().enumerate() {
                let share = count as f64 / all.max(1) as f64;
                let color = shade(share, t == p);
                let corner = (left + at(p), top + at(t));
                let opposite = (left + at(p + 1), top + at(t + 1));
                if count > 0 {
                    area.draw(&Rectangle::new([corner, opposite], color.filled()))?;
                } else if n > NAUGHTS {
                    continue;
                }
                let middle = ((corner.0 + opposite.0) / 2, (corner.1 + opposite.1) / 2);
                let ink = match count {
                    0 => RGBColor(170, 170, 170),
                    _ if share > 0.55 => WHITE,
                    _ => BLACK,
                };
                let number = compact(count);
                if width(&number, size) as i32 <= room - 2 {
                    let style = text(size, ink).pos(CENTRE);
                    area.draw(&Text::new(number, middle, style))?;
                }
            }
        }
        for line in (1..n).map(at) {
            let down = [(left + line, top), (left + line, top + side)];
            let across = [(left, top + line), (left + side, top + line)];
            area.draw(&PathElement::new(down, FAINT))?;
            area.draw(&PathElement::new(across, FAINT))?;
        }
        let corners = [(left, top), (left + side, top + side)];
        area.draw(&Rectangle::new(corners, BLACK))?;
        let upright = self.upright();
        for (c, name) in self.names.iter().enumerate() {
            let middle = (at(c) + at(c + 1)) / 2;
            let style = text(14, BLACK).pos(RIGHT);
            area.draw(&Text::new(name.as_str(), (left - 8, top + middle), style))?;
            let style = text(14, BLACK);
            let style = match upright {
                true => style.transform(FontTransform::Rotate90).pos(LEFT),
                false => style.pos(Pos::new(HPos::Center, VPos::Top)),
            };
            let place = (left + middle, top + side + 8);
            area.draw(&Text::new(name.as_str(), place, style))?;
        }
        Ok(())
    }
}

/// From white to blue for what is right, to red for what is wrong.
fn shade(share: f64, right: bool) -> RGBColor {
    // A few wrong ones of many are to be seen.
    let (full, s) = match right {
        true => ((8.0, 69.0, 148.0), share),
        false => ((165.0, 15.0, 21.0), share.sqrt()),
    };
    let mix = |to: f64| (255.0 + (to - 255.0) * s) as u8;
    RGBColor(mix(full.0), mix(full.1), mix(full.2))
}

/// Of many classes the pairs that were confused most often, a bar each.
pub struct LargestConfusions {
    /// What was taken for what, and how often.
    bars: Vec<(String, u64)>,
    /// What is not shown.
    more: String,
    left: u32,
}

impl LargestConfusions {
    const TITLE: &'static str = "Classes taken for each other most often, in rows";
    const TOP: u32 = 50;
    /// Of a bar, with what is between two.
    const HEIGHT: u32 = 24;
    /// Of the longest bar, and of the number beside it.
    const LENGTH: u32 = 420;
    const NUMBER: u32 = 90;

    pub fn new(most: &MostConfused, names: &[String]) -> Self {
        let name = |class: u32| {
            let name = names.get(class as usize).map_or("?", String::as_str);
            fitted(name, 14, NAME_ROOM)
        };
        let shown = &most.pairs[..most.pairs.len().min(MOST_BARS)];
        let bar = |pair: &Confused| {
            let (target, predicted) = (name(pair.target), name(pair.predicted));
            (format!("{target} taken for {predicted}"), pair.rows)
        };
        let bars: Vec<(String, u64)> = shown.iter().map(bar).collect();
        let more = most.more_pairs + (most.pairs.len() - shown.len()) as u64;
        Self {
            left: bars.iter().map(|b| width(&b.0, 14)).max().unwrap_or(0) + 30,
            bars,
            more: match more {
                0 => String::new(),
                more => format!("and {} more", output::counted(more, "pair")),
            },
        }
    }

    pub fn size(&self) -> (u32, u32) {
        let width = self.left + Self::LENGTH + Self::NUMBER;
        let height = Self::TOP + Self::HEIGHT * self.bars.len() as u32 + 40;
        (width, height)
    }

    pub fn draw(&self, area: &Area<'_>) -> Drawn {
        let (whole, left) = (self.size().0 as i32, self.left as i32);
        let title = text(18, BLACK).pos(CENTRE);
        area.draw(&Text::new(Self::TITLE, (whole / 2, 24), title))?;
        let most = self.bars.iter().map(|b| b.1).max().unwrap_or(1).max(1);
        let at = |i: usize| (Self::TOP + Self::HEIGHT * i as u32) as i32;
        for (i, (name, rows)) in self.bars.iter().enumerate() {
            let middle = at(i) + Self::HEIGHT as i32 / 2;
            let style = text(14, BLACK).pos(RIGHT);
            area.draw(&Text::new(name.as_str(), (left - 8, middle), style))?;
            let length = (f64::from(Self::LENGTH) * *rows as f64 / most as f64).ceil() as i32;
            let corners = [(left, at(i) + 4), (left + length, at(i + 1) - 4)];
            let color = shade(1.0, false).mix(0.7);
            area.draw(&Rectangle::new(corners, color.filled()))?;
            let style = text(14, BLACK).pos(LEFT);
            let place = (left + length + 6, middle);
            area.draw(&Text::new(compact(*rows), place, style))?;
        }
        let style = text(14, BLACK).pos(LEFT);
        let place = (left, at(self.bars.len()) + 16);
        area.draw(&Text::new(self.more.as_str(), place, style))?;
        Ok(())
    }
}
