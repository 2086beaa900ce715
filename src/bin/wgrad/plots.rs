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
use wgrad::metrics::{Confusion, MostConfused, Scores};

use crate::failure::{Failure, unusable};
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

/// A plot that was drawn.
pub struct Plotted {
    /// What it shows.
    pub title: &'static str,
    /// The name of its files, without an ending.
    pub name: &'static str,
}

/// Draws the plots of a run into its folder, and says which.
pub fn run(
    folder: &Path,
    summary: &Summary,
    pairs: Option<&(Matrix<f64>, Matrix<f64>)>,
    preparation: &Preparation,
) -> Result<Vec<Plotted>, Failure> {
    if !fonts() {
        return unusable("the font of the plots cannot be used");
    }
    let mut plotted = Vec::new();
    let mut draw = |title, name| plotted.push(Plotted { title, name });
    if !summary.history.epochs.is_empty() {
        let accuracy = summary
            .history
            .epochs
            .iter()
            .any(|e| e.validation.and_then(|v| v.accuracy).is_some());
        let size = (900, if accuracy { 760 } else { 460 });
        let name = "learning-curve";
        both(folder, name, size, &LearningCurve(&summary.history))?;
        draw("Learning curve", name);
    }
    match &summary.report.scores {
        Scores::Classification(c) => match &c.confusion {
            Some(confusion) if confusion.classes() <= MOST_CLASSES => {
                let plot = ConfusionMatrix::new(confusion, &c.names);
                let name = "confusion-matrix";
                both(folder, name, plot.size(), &plot)?;
                draw("Confusion matrix", name);
            }
            _ if c.most_confused.pairs.is_empty() => {}
            _ => {
                let plot = LargestConfusions::new(&c.most_confused, &c.names);
                let name = "largest-confusions";
                both(folder, name, plot.size(), &plot)?;
                draw("Largest confusions", name);
            }
        },
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
                let name = "predicted-against-true";
                both(folder, name, size, &plot)?;
                draw("Predicted against true", name);
            }
        }
    }
    Ok(plotted)
}

/// The axes of a panel.
macro_rules! mesh {
    ($chart:expr, $what:expr, $last:expr, $tick:expr) => {
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
            .y_label_formatter(&$tick)
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

/// Pixels that a text is wide.
fn width(text: &str, size: u32) -> u32 {
    let font = (SANS, size).into_font();
    font.box_size(text)
        .map_or(size * text.chars().count() as u32, |(width, _)| width)
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

/// The most points of a curve.
const MOST_EPOCHS: usize = 1000;

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
            let points: Vec<_> = points.filter(|(_, y)| y.is_finite()).collect();
            // More than there are pixels would only make the file large. The last is always there.
            let every = points.len().div_ceil(MOST_EPOCHS).max(1);
            let thinned = points.iter().rev().step_by(every).rev();
            thinned.copied().collect()
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
        .y_label_area_size(84);
    if least > 0.0 && most / least > 100.0 {
        let mut chart = builder.build_cartesian_2d(x, (least / 1.3..most * 1.3).log_scale())?;
        mesh!(chart, what, last, |y: &f64| tick(*y, *y));
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
        let span = most + room - low;
        mesh!(chart, what, last, |y: &f64| tick(*y, span));
        curves!(chart, curves, best, low, most + room, legend);
    }
    Ok(())
}

/// The most targets that have a plot of their own.
const MOST_TARGETS: usize = 9;
/// Points of all such plots together.
const MOST_POINTS: usize = 5000;
/// The most classes whose confusion matrix is drawn.
const MOST_CLASSES: usize = 50;
/// Classes up to which a count of 0 is written.
const NAUGHTS: usize = 20;
/// The most bars of a plot.
const MOST_BARS: usize = 30;
/// Pixels of a name beside a plot.
const NAME_ROOM: u32 = 160;

const CENTRE: Pos = Pos {
    h_pos: HPos::Center,
    v_pos: VPos::Center,
};

/// How often each class was taken for each other: rows are true classes, shades are shares of a row.
struct ConfusionMatrix<'a> {
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

    fn new(confusion: &'a Confusion, names: &[String]) -> Self {
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

    fn size(&self) -> (u32, u32) {
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

impl Plot for ConfusionMatrix<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
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
                let share = if all == 0 {
                    0.0
                } else {
                    count as f64 / all as f64
                };
                let color = shade(share, t == p);
                let corner = (left + at(p), top + at(t));
                let opposite = (left + at(p + 1), top + at(t + 1));
                if count > 0 {
                    area.draw(&Rectangle::new([corner, opposite], color.filled()))?;
                } else if n > NAUGHTS {
                    continue;
                }
                let middle = ((corner.0 + opposite.0) / 2, (corner.1 + opposite.1) / 2);
                let ink = if share > 0.55 {
                    WHITE
                } else if count == 0 {
                    RGBColor(170, 170, 170)
                } else {
                    BLACK
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
        area.draw(&Rectangle::new(
            [(left, top), (left + side, top + side)],
            BLACK,
        ))?;
        let upright = self.upright();
        for (c, name) in self.names.iter().enumerate() {
            let middle = (at(c) + at(c + 1)) / 2;
            let right = Pos::new(HPos::Right, VPos::Center);
            area.draw(&Text::new(
                name.as_str(),
                (left - 8, top + middle),
                text(14, BLACK).pos(right),
            ))?;
            let style = text(14, BLACK);
            let style = match upright {
                true => style
                    .transform(FontTransform::Rotate90)
                    .pos(Pos::new(HPos::Left, VPos::Center)),
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

/// Of many classes the pairs that were confused most often, a bar each.
struct LargestConfusions {
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

    fn new(most: &MostConfused, names: &[String]) -> Self {
        let name = |class: u32| {
            let name = names.get(class as usize).map_or("?", String::as_str);
            fitted(name, 14, NAME_ROOM)
        };
        let shown = &most.pairs[..most.pairs.len().min(MOST_BARS)];
        let bar = |pair: &wgrad::metrics::Confused| {
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
                more => format!("and {} more", crate::output::counted(more, "pair")),
            },
        }
    }

    fn size(&self) -> (u32, u32) {
        let width = self.left + Self::LENGTH + Self::NUMBER;
        let height = Self::TOP + Self::HEIGHT * self.bars.len() as u32 + 40;
        (width, height)
    }
}

impl Plot for LargestConfusions {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let (whole, left) = (self.size().0 as i32, self.left as i32);
        let title = text(18, BLACK).pos(CENTRE);
        area.draw(&Text::new(Self::TITLE, (whole / 2, 24), title))?;
        let most = self.bars.iter().map(|b| b.1).max().unwrap_or(1).max(1);
        let at = |i: usize| (Self::TOP + Self::HEIGHT * i as u32) as i32;
        for (i, (name, rows)) in self.bars.iter().enumerate() {
            let middle = at(i) + Self::HEIGHT as i32 / 2;
            let style = text(14, BLACK).pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(name.as_str(), (left - 8, middle), style))?;
            let length = (f64::from(Self::LENGTH) * *rows as f64 / most as f64).ceil() as i32;
            let corners = [(left, at(i) + 4), (left + length, at(i + 1) - 4)];
            area.draw(&Rectangle::new(
                corners,
                shade(1.0, false).mix(0.7).filled(),
            ))?;
            let style = text(14, BLACK).pos(Pos::new(HPos::Left, VPos::Center));
            let place = (left + length + 6, middle);
            area.draw(&Text::new(compact(*rows), place, style))?;
        }
        let style = text(14, BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let place = (left, at(self.bars.len()) + 16);
        area.draw(&Text::new(self.more.as_str(), place, style))?;
        Ok(())
    }
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
        let every = rows.div_ceil(MOST_POINTS / self.names.len().max(1));
        for (c, (name, panel)) in self.names.iter().zip(panels).enumerate() {
            let all = || {
                let rows = (0..rows).step_by(every);
                rows.flat_map(|r| [self.targets.row(r)[c], self.predicted.row(r)[c]])
            };
            let (least, most) = (
                all().fold(f64::INFINITY, f64::min),
                all().fold(f64::NEG_INFINITY, f64::max),
            );
            // Numbers far from 0 differ in digits for which an axis has no room: they are shown from a round number on.
            let base = base(least, most);
            let points: Vec<f64> = all().map(|x| x - base).collect();
            let (least, most) = (least - base, most - base);
            let room = if most > least {
                0.05 * (most - least)
            } else {
                1.0
            };
            let range = least - room..most + room;
            let span = range.end - range.start;
            let axis = |what: &str| match base {
                0.0 => what.to_string(),
                base if base.abs() < 1e15 => {
                    let sign = if base < 0.0 { '+' } else { '−' };
                    format!("{what} {sign} {}", base.abs())
                }
                base => format!("{what} − ({base:e})"),
            };
            let wide = panel.dim_in_pixel().0.saturating_sub(40);
            let mut chart = ChartBuilder::on(&panel)
                .caption(fitted(name, 18, wide), (SANS, 18))
                .margin(14)
                .margin_right(24)
                .x_label_area_size(44)
                .y_label_area_size(84)
                .build_cartesian_2d(range.clone(), range.clone())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(FAINT)
                .x_labels(5)
                .y_labels(6)
                .x_desc(axis("true"))
                .y_desc(axis("predicted"))
                .label_style(text(14, BLACK))
                .axis_desc_style(text(14, BLACK))
                .x_label_formatter(&|x| tick(*x, span))
                .y_label_formatter(&|y| tick(*y, span))
                .draw()?;
            chart.draw_series(LineSeries::new(
                [(range.start, range.start), (range.end, range.end)],
                BLACK.mix(0.5),
            ))?;
            let dots = points
                .chunks_exact(2)
                .map(|p| Circle::new((p[0], p[1]), 2, TRAIN.mix(0.5).filled()));
            chart.draw_series(dots)?;
        }
        Ok(())
    }
}

/// Where an axis from `least` to `most` begins to count: 0, unless the numbers on it differ in late digits alone.
fn base(least: f64, most: f64) -> f64 {
    let (size, span) = (least.abs().max(most.abs()), most - least);
    if span <= 0.0 || size < 1000.0 * span || !span.is_finite() {
        return 0.0;
    }
    let step = 10f64.powf(span.log10().ceil());
    ((least + 0.5 * span) / step).round() * step
}

/// A number at an axis that is so long.
fn tick(x: f64, span: f64) -> String {
    // What is nothing beside the axis is where the sum of steps misses 0.
    if x == 0.0 || x.abs() < 1e-9 * span.abs() {
        return "0".into();
    }
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    match x.abs() {
        a if (1e-3..1e6).contains(&a) => {
            let decimals = (2.0 - span.abs().log10()).ceil().clamp(0.0, 6.0) as usize;
            trimmed(&format!("{x:.decimals$}"))
        }
        _ => {
            let text = format!("{x:.2e}");
            match text.split_once('e') {
                Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
                None => text,
            }
        }
    }
}
