//! Plots of a run, each as SVG and as PNG.
//!
//! Text is drawn with a font of our own, so that nothing need be installed.

use std::path::Path;
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use wgrad::Matrix;
use wgrad::data::Preparation;
use wgrad::files::replace;
use wgrad::fit::History;
use wgrad::metrics::{Confusion, Scores};

use crate::failure::Failure;
use crate::model;
use crate::report::Summary;

/// A part of DejaVu Sans; see `font/LICENSE`.
const FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");
const SANS: &str = "sans-serif";

fn fonts() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| register_font(SANS, FontStyle::Normal, FONT).is_ok())
}

const TRAIN: RGBColor = RGBColor(31, 119, 180);
const HELD: RGBColor = RGBColor(214, 97, 16);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// Draws the plots of a run into its folder.
pub fn run(
    folder: &Path,
    summary: &Summary,
    pairs: Option<&(Matrix<f64>, Matrix<f64>)>,
    preparation: &Preparation,
) -> Result<(), Failure> {
    if !summary.history.epochs.is_empty() {
        let accuracy = summary
            .history
            .epochs
            .iter()
            .any(|e| e.validation.and_then(|v| v.accuracy).is_some());
        let size = (900, if accuracy { 760 } else { 460 });
        both(
            folder,
            "learning-curve",
            size,
            &LearningCurve(&summary.history),
        )?;
    }
    match &summary.report.scores {
        Scores::Classification(c) => {
            if let Some(confusion) = &c.confusion {
                let n = confusion.classes() as u32;
                let side = (n * 46).clamp(280, 1000);
                let left = label_room(&c.names);
                // Names that are wider than their column stand upright.
                let widest = left - label_room(&[]);
                let below = if widest + 4 > side / n {
                    widest + 24
                } else {
                    40
                };
                let size = (side + left + 50, side + 50 + below);
                let plot = ConfusionMatrix {
                    confusion,
                    names: &c.names,
                    side,
                    left,
                };
                both(folder, "confusion-matrix", size, &plot)?;
            }
        }
        _ => {
            if let Some((predicted, targets)) = pairs {
                let names = model::target_names(preparation);
                let shown = names.len().min(MOST_TARGETS);
                let columns = shown.min(3) as u32;
                let size = (columns * 460, (shown as u32).div_ceil(columns) * 460);
                let plot = PredictedAgainstTrue {
                    predicted,
                    targets,
                    names: &names[..shown],
                };
                both(folder, "predicted-against-true", size, &plot)?;
            }
        }
    }
    Ok(())
}

/// The axes of a panel.
macro_rules! mesh {
    ($chart:expr, $what:expr, $last:expr) => {
        $chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .x_labels(if $last > 1.0 {
                ($last as usize).min(10)
            } else {
                1
            })
            .y_labels(6)
            .x_desc("epoch")
            .y_desc($what)
            .label_style(text(14, BLACK))
            .axis_desc_style(text(14, BLACK))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| tick(*y))
            .draw()?
    };
}

/// The curves of a panel, where the best epoch is, and the legend.
macro_rules! curves {
    ($chart:expr, $curves:expr, $best:expr, $low:expr, $high:expr, $at:expr) => {{
        if let Some(best) = $best {
            $chart
                .draw_series(LineSeries::new(
                    [(best, $low), (best, $high)],
                    BLACK.mix(0.4),
                ))?
                .label(format!("best: epoch {best:.0}"))
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.mix(0.4)));
        }
        for (points, name, color) in $curves.iter().filter(|(points, ..)| !points.is_empty()) {
            let (style, color) = (color.stroke_width(2), *color);
            // A single epoch is a point.
            $chart.draw_series(
                points
                    .iter()
                    .take(if points.len() == 1 { 1 } else { 0 })
                    .map(|&p| Circle::new(p, 3, color.filled())),
            )?;
            $chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(*name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                });
        }
        $chart
            .configure_series_labels()
            .position($at)
            .background_style(WHITE.mix(0.85))
            .border_style(FAINT)
            .label_font(text(14, BLACK))
            .draw()?;
    }};
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A plot that can be drawn on either backend.
trait Plot {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static;
}

/// Writes a plot as `NAME.svg` and `NAME.png`.
fn both(
    folder: &Path,
    name: &str,
    (width, height): (u32, u32),
    plot: &impl Plot,
) -> Result<(), Failure> {
    let fail =
        |e: Box<dyn std::error::Error>| Failure::File(format!("{name} cannot be drawn: {e}"));
    if !fonts() {
        return Err(Failure::File("the font of the plots cannot be used".into()));
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        plot.draw(&area).map_err(fail)?;
        area.present().map_err(|e| fail(e.into()))?;
    }
    replace(folder.join(format!("{name}.svg")), svg.as_bytes())?;

    let mut pixels = vec![0; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        plot.draw(&area).map_err(fail)?;
        area.present().map_err(|e| fail(e.into()))?;
    }
    let mut file = Vec::new();
    let written = (|| {
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&pixels)
    })();
    written.map_err(|e| fail(e.into()))?;
    replace(folder.join(format!("{name}.png")), &file)?;
    Ok(())
}

/// Sizes are even: of an odd one plotters rounds the halves of pixels so that a point stands above the line.
fn text(size: u32, color: RGBColor) -> TextStyle<'static> {
    (SANS, size).into_font().color(&color)
}

/// Losses over epochs, and below them the accuracy where there is one.
struct LearningCurve<'a>(&'a History);

/// A curve: its points, its name and its colour.
type Curve = (Vec<(f64, f64)>, &'static str, RGBColor);

impl Plot for LearningCurve<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let epochs = &self.0.epochs;
        let curve = |of: &dyn Fn(&wgrad::fit::EpochRecord) -> Option<f64>| -> Vec<(f64, f64)> {
            let points = epochs.iter().filter_map(|e| Some((e.epoch as f64, of(e)?)));
            points.filter(|(_, y)| y.is_finite()).collect()
        };
        let losses = [
            (curve(&|e| Some(e.loss)), "training", TRAIN),
            (curve(&|e| e.validation.map(|v| v.loss)), "validation", HELD),
        ];
        let accuracies = [(
            curve(&|e| e.validation?.accuracy.map(|a| 100.0 * a)),
            "validation",
            HELD,
        )];
        let best = self.0.best_epoch.map(|epoch| epoch as f64);
        if accuracies[0].0.is_empty() {
            return panel(area, "loss", &losses, best, SeriesLabelPosition::UpperRight);
        }
        let (above, below) = area.split_vertically((area.dim_in_pixel().1 * 55) / 100);
        panel(
            &above,
            "loss",
            &losses,
            best,
            SeriesLabelPosition::UpperRight,
        )?;
        panel(
            &below,
            "accuracy, %",
            &accuracies,
            best,
            SeriesLabelPosition::LowerRight,
        )
    }
}

/// One panel of curves over epochs. Positive numbers that span more than two decades have a logarithmic axis.
fn panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    what: &str,
    curves: &[Curve],
    best: Option<f64>,
    legend: SeriesLabelPosition,
) -> Drawn
where
    B::ErrorType: 'static,
{
    let points = || curves.iter().flat_map(|(points, ..)| points);
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let (least, most) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| {
        (a.min(p.1), b.max(p.1))
    });
    if least > most {
        return Ok(());
    }
    let x = if last > 1.0 { 1.0..last } else { 0.5..1.5 };
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(16)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(72);
    if least > 0.0 && most / least > 100.0 {
        let mut chart = builder.build_cartesian_2d(x, (least / 1.3..most * 1.3).log_scale())?;
        mesh!(chart, what, last);
        curves!(chart, curves, best, least / 1.3, most * 1.3, legend);
    } else {
        let room = if most > least {
            0.06 * (most - least)
        } else {
            0.05 * most.abs().max(1e-9)
        };
        let low = if least >= 0.0 {
            (least - room).max(0.0)
        } else {
            least - room
        };
        let mut chart = builder.build_cartesian_2d(x, low..most + room)?;
        mesh!(chart, what, last);
        curves!(chart, curves, best, low, most + room, legend);
    }
    Ok(())
}

/// The most targets that have a plot of their own.
const MOST_TARGETS: usize = 9;
/// Points of such a plot.
const MOST_POINTS: usize = 5000;

/// How often each class was taken for each other: rows are true classes, shades are shares of a row.
struct ConfusionMatrix<'a> {
    confusion: &'a Confusion,
    names: &'a [String],
    side: u32,
    left: u32,
}

/// Classes that have their names and counts in the plot.
const NAMED: usize = 30;

/// Characters of a name.
const LONGEST: usize = 20;

fn cut(name: &str) -> String {
    match name.chars().count() > LONGEST {
        true => name.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => name.into(),
    }
}

/// Room for the names of classes.
fn label_room(names: &[String]) -> u32 {
    let longest = names
        .iter()
        .map(|name| cut(name).chars().count())
        .max()
        .unwrap_or(0);
    70 + 8 * longest as u32
}

impl Plot for ConfusionMatrix<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let n = self.confusion.classes();
        let (side, left, top) = (self.side as i32, self.left as i32, 50);
        let at = |i: usize| i as i32 * side / n as i32;
        let named = n <= NAMED;
        let size = (side / n as i32 * 2 / 5).clamp(8, 14) as u32 & !1;
        let centre = Pos::new(HPos::Center, VPos::Center);
        let title = text(18, BLACK).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(
            "Predicted class (across) for each true class (down)",
            (left + side / 2, 24),
            title,
        ))?;
        for (t, counts) in self.confusion.counts().iter().enumerate() {
            let all: u64 = counts.iter().sum();
            for (p, &count) in counts.iter().enumerate() {
                let share = if all == 0 {
                    0.0
                } else {
                    count as f64 / all as f64
                };
                let color = shade(share, t == p);
                let corner = (left + at(p), top + at(t));
                let opposite = (left + at(p + 1), top + at(t + 1));
                area.draw(&Rectangle::new([corner, opposite], color.filled()))?;
                if named {
                    area.draw(&Rectangle::new([corner, opposite], FAINT))?;
                    let middle = ((corner.0 + opposite.0) / 2, (corner.1 + opposite.1) / 2);
                    let ink = if share > 0.55 {
                        WHITE
                    } else if count == 0 {
                        RGBColor(170, 170, 170)
                    } else {
                        BLACK
                    };
                    area.draw(&Text::new(
                        count.to_string(),
                        middle,
                        text(size, ink).pos(centre),
                    ))?;
                }
            }
        }
        area.draw(&Rectangle::new(
            [(left, top), (left + side, top + side)],
            BLACK,
        ))?;
        if !named {
            let note = format!("{n} classes, in their order");
            area.draw(&Text::new(
                note,
                (left + side / 2, top + side + 18),
                text(14, BLACK).pos(centre),
            ))?;
            return Ok(());
        }
        let room = side / n as i32;
        for (c, name) in self.names.iter().enumerate() {
            let middle = (at(c) + at(c + 1)) / 2;
            let name = cut(name);
            let right = Pos::new(HPos::Right, VPos::Center);
            area.draw(&Text::new(
                name.clone(),
                (left - 8, top + middle),
                text(14, BLACK).pos(right),
            ))?;
            let style = text(14, BLACK);
            // Names that are wider than their column stand upright.
            let style = match 8 * name.chars().count() as i32 > room - 4 {
                true => style
                    .transform(FontTransform::Rotate90)
                    .pos(Pos::new(HPos::Left, VPos::Center)),
                false => style.pos(Pos::new(HPos::Center, VPos::Top)),
            };
            area.draw(&Text::new(name, (left + middle, top + side + 8), style))?;
        }
        Ok(())
    }
}

/// From white to blue for what is right, to red for what is wrong.
fn shade(share: f64, right: bool) -> RGBColor {
    let full = if right {
        (8.0, 69.0, 148.0)
    } else {
        (165.0, 15.0, 21.0)
    };
    // A few wrong ones of many are to be seen.
    let s = if right { share } else { share.sqrt() };
    let mix = |to: f64| (255.0 + (to - 255.0) * s) as u8;
    RGBColor(mix(full.0), mix(full.1), mix(full.2))
}

/// Each target's predictions over its true values, with the line on which they should be.
struct PredictedAgainstTrue<'a> {
    predicted: &'a Matrix<f64>,
    targets: &'a Matrix<f64>,
    names: &'a [String],
}

impl Plot for PredictedAgainstTrue<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let columns = self.names.len().min(3);
        let panels = area.split_evenly((self.names.len().div_ceil(columns), columns));
        let rows = self.targets.rows();
        let every = rows.div_ceil(MOST_POINTS);
        for (c, (name, panel)) in self.names.iter().zip(panels).enumerate() {
            let pair = |r: usize| {
                (
                    f64::from(self.targets.row(r)[c]),
                    f64::from(self.predicted.row(r)[c]),
                )
            };
            let points: Vec<(f64, f64)> = (0..rows).step_by(every).map(pair).collect();
            let all = || points.iter().flat_map(|p| [p.0, p.1]);
            let (least, most) = (
                all().fold(f64::INFINITY, f64::min),
                all().fold(f64::NEG_INFINITY, f64::max),
            );
            let room = if most > least {
                0.05 * (most - least)
            } else {
                1.0
            };
            let range = least - room..most + room;
            let mut chart = ChartBuilder::on(&panel)
                .caption(cut(name), (SANS, 18))
                .margin(14)
                .margin_right(24)
                .x_label_area_size(44)
                .y_label_area_size(72)
                .build_cartesian_2d(range.clone(), range.clone())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(FAINT)
                .x_labels(6)
                .y_labels(6)
                .x_desc("true")
                .y_desc("predicted")
                .label_style(text(14, BLACK))
                .axis_desc_style(text(14, BLACK))
                .x_label_formatter(&|x| tick(*x))
                .y_label_formatter(&|y| tick(*y))
                .draw()?;
            chart.draw_series(LineSeries::new(
                [(range.start, range.start), (range.end, range.end)],
                BLACK.mix(0.5),
            ))?;
            let dots = points
                .iter()
                .map(|&p| Circle::new(p, 2, TRAIN.mix(0.5).filled()));
            chart.draw_series(dots)?;
        }
        Ok(())
    }
}

/// A number at an axis.
fn tick(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if (1e-3..1e6).contains(&a) => {
            let text = format!("{x:.4}");
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
        _ => format!("{x:.1e}"),
    }
}
