//! Curves over epochs, and predictions over true values.

use plotters::prelude::*;
use wgrad::Matrix;
use wgrad::fit::{EpochRecord, History};

use super::{Area, Drawn, FAINT, HELD, SANS, TRAIN, fitted, text};

/// The most points of a curve.
const MOST_EPOCHS: usize = 1000;
/// Points of all plots of targets together.
const MOST_POINTS: usize = 5000;

/// A curve: its points, its name and its colour.
type Curve = (Vec<(f64, f64)>, &'static str, RGBColor);

/// Losses over epochs, and below them the accuracy where there is one.
pub fn learning(area: &Area<'_>, history: &History) -> Drawn {
    let curve = |of: &dyn Fn(&EpochRecord) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = history.epochs.iter();
        let points = points.filter_map(|e| Some((e.epoch as f64, of(e)?)));
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
    let accuracy = curve(&|e| e.validation?.accuracy.map(|a| 100.0 * a));
    let best = history.best_epoch.map(|epoch| epoch as f64);
    let above = SeriesLabelPosition::UpperRight;
    if accuracy.is_empty() {
        return panel(area, "loss", &losses, best, above);
    }
    let (upper, lower) = area.split_vertically((area.dim_in_pixel().1 * 55) / 100);
    panel(&upper, "loss", &losses, best, above)?;
    let accuracies = [(accuracy, "validation", HELD)];
    let below = SeriesLabelPosition::LowerRight;
    panel(&lower, "accuracy, %", &accuracies, best, below)
}

/// One panel of curves over epochs. Positive numbers that span more than two decades have a logarithmic axis.
fn panel(
    area: &Area<'_>,
    what: &str,
    curves: &[Curve],
    best: Option<f64>,
    legend: SeriesLabelPosition,
) -> Drawn {
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
    // The two kinds of axes are of two types.
    macro_rules! draw {
        ($y:expr, $low:expr, $high:expr, $tick:expr) => {{
            let mut chart = builder.build_cartesian_2d(x, $y)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(FAINT)
                .x_labels((last as usize).min(10))
                .y_labels(6)
                .x_desc("epoch")
                .y_desc(what)
                .label_style(text(14, BLACK))
                .axis_desc_style(text(14, BLACK))
                .x_label_formatter(&|x| format!("{x:.0}"))
                .y_label_formatter(&$tick)
                .draw()?;
            if let Some(best) = best {
                let line = [(best, $low), (best, $high)];
                chart
                    .draw_series(LineSeries::new(line, BLACK.mix(0.4)))?
                    .label(format!("best: epoch {best:.0}"))
                    .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.mix(0.4)));
            }
            for (points, name, color) in curves.iter().filter(|(points, ..)| !points.is_empty()) {
                let style = color.stroke_width(2);
                // A single epoch is a point.
                if let [point] = points[..] {
                    chart.draw_series([Circle::new(point, 3, color.filled())])?;
                }
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), style))?
                    .label(*name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            }
            chart
                .configure_series_labels()
                .position(legend)
                .background_style(WHITE.mix(0.85))
                .border_style(FAINT)
                .label_font(text(14, BLACK))
                .draw()?;
        }};
    }
    if least > 0.0 && most / least > 100.0 {
        let (low, high) = (least / 1.3, most * 1.3);
        draw!((low..high).log_scale(), low, high, |y: &f64| tick(*y, *y));
    } else {
        let room = match most > least {
            true => 0.06 * (most - least),
            false => 0.05 * most.abs().max(1e-9),
        };
        let bound = if least >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let (low, high) = ((least - room).max(bound), most + room);
        draw!(low..high, low, high, |y: &f64| tick(*y, high - low));
    }
    Ok(())
}

/// Each target's predictions over its true values, with the line on which they should be.
pub fn predicted_against_true(
    area: &Area<'_>,
    predicted: &Matrix<f64>,
    targets: &Matrix<f64>,
    names: &[String],
) -> Drawn {
    let columns = names.len().min(3);
    let panels = area.split_evenly((names.len().div_ceil(columns), columns));
    let rows = targets.rows();
    let every = rows.div_ceil(MOST_POINTS / names.len().max(1));
    for (c, (name, panel)) in names.iter().zip(panels).enumerate() {
        let all = || {
            let rows = (0..rows).step_by(every);
            rows.flat_map(|r| [targets.row(r)[c], predicted.row(r)[c]])
        };
        let least = all().fold(f64::INFINITY, f64::min);
        let most = all().fold(f64::NEG_INFINITY, f64::max);
        // Numbers far from 0 differ in digits for which an axis has no room: they are shown from a round number on.
        let base = base(least, most);
        let points: Vec<f64> = all().map(|x| x - base).collect();
        let (least, most) = (least - base, most - base);
        let width = most - least;
        let room = if width > 0.0 { 0.05 * width } else { 1.0 };
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
        let diagonal = [range.start, range.end].map(|x| (x, x));
        chart.draw_series(LineSeries::new(diagonal, BLACK.mix(0.5)))?;
        let dots = points.chunks_exact(2).map(|p| (p[0], p[1]));
        chart.draw_series(dots.map(|p| Circle::new(p, 2, TRAIN.mix(0.5).filled())))?;
    }
    Ok(())
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
