//! How time and memory grow, as SVG files.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use crate::Results;
use crate::measure::Times;
use crate::report::duration;

/// Colours that people who see few of them can tell apart.
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
];

struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

struct Plot<'a> {
    title: String,
    subtitle: String,
    x: String,
    y: &'a str,
    series: Vec<Series>,
    y_label: fn(&f64) -> String,
}

pub fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let gpu = results.gpu_name();
    for sweep in &results.sweeps {
        let x = format!("{} ({})", sweep.of, sweep.unit);
        let points = |of: &dyn Fn(&crate::sweep::Point) -> Option<f64>| {
            let points = sweep.points.iter();
            points
                .filter_map(|p| Some((p.size as f64, of(p)?)))
                .collect()
        };
        let gpu_points = |of: fn(&Times) -> f64| points(&move |point| point.gpu.as_ref().map(of));
        let time = Plot {
            title: format!("Time of a training step against {}: {gpu}", sweep.of),
            subtitle: format!("{}; against {}", sweep.fixed, results.cpu),
            x: x.clone(),
            y: "time of a step (s, ms, µs)",
            series: vec![
                Series {
                    name: "GPU, step by step".into(),
                    points: gpu_points(|t| t.step),
                },
                Series {
                    name: "GPU, epoch on resident data".into(),
                    points: gpu_points(|t| t.epoch_step),
                },
                Series {
                    name: "CPU, the better of both".into(),
                    points: points(&|point| point.cpu.as_ref().map(Times::best)),
                },
            ],
            y_label: tick_of_time,
        };
        save(&time, &folder.join(format!("{}.svg", sweep.of)))?;
        if sweep.of == "width" {
            let memory = Plot {
                title: format!("Memory of training against width: {gpu}"),
                subtitle: sweep.fixed.into(),
                x,
                y: "memory on the device (MB)",
                series: vec![Series {
                    name: "parameters, gradients, state, workspace".into(),
                    points: gpu_points(|t| t.bytes as f64 / 1e6),
                }],
                y_label: f64::to_string,
            };
            save(&memory, &folder.join("memory.svg"))?;
        }
    }
    Ok(())
}

/// A power of ten, without decimals.
fn tick_of_time(seconds: &f64) -> String {
    let text = duration(seconds * (1.0 + 1e-9));
    text.replace(".00", "").replace(".0", "")
}

/// Powers of ten that enclose the values.
fn decades(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        low = low.min(value.log10());
        high = high.max(value.log10());
    }
    let powers = low.floor() as i32..=(high.ceil() as i32).max(low.floor() as i32 + 1);
    // Parsed, a power of ten prints as one.
    powers
        .filter_map(|power| format!("1e{power}").parse().ok())
        .collect()
}

/// A logarithmic axis with these ticks and no others.
struct LogAxis {
    ticks: Vec<f64>,
    range: Range<f64>,
}

impl LogAxis {
    /// From the first tick to the last, and a factor beyond on both sides.
    fn new(ticks: &[f64], beyond: f64) -> Self {
        Self {
            range: ticks[0] / beyond..ticks[ticks.len() - 1] * beyond,
            ticks: ticks.to_vec(),
        }
    }
}

impl Ranged for LogAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let Range { start, end } = self.range();
        let place = (value / start).ln() / (end / start).ln();
        from + (f64::from(to - from) * place).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

fn save(plot: &Plot, file: &Path) -> Result<(), Box<dyn Error>> {
    let all = || plot.series.iter().flat_map(|s| &s.points);
    let mut sizes: Vec<f64> = all().map(|p| p.0).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    if sizes.is_empty() {
        return Ok(());
    }
    let decades = decades(all().map(|p| p.1));
    let canvas = SVGBackend::new(file, (960, 600)).into_drawing_area();
    canvas.fill(&WHITE)?;
    let canvas = canvas.margin(12, 0, 0, 0);
    let canvas = canvas.titled(&plot.title, ("sans-serif", 22))?;
    let canvas = canvas.titled(&plot.subtitle, ("sans-serif", 16))?;
    let mut chart = ChartBuilder::on(&canvas)
        .margin(16)
        .margin_right(32)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d(LogAxis::new(&sizes, 1.2), LogAxis::new(&decades, 1.0))?;
    chart
        .configure_mesh()
        .x_desc(&plot.x)
        .y_desc(plot.y)
        .axis_desc_style(("sans-serif", 17))
        .label_style(("sans-serif", 15))
        .x_label_formatter(&f64::to_string)
        .y_label_formatter(&plot.y_label)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (series, colour) in plot.series.iter().zip(COLOURS) {
        let points = series.points.iter().copied();
        let line = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        let drawn = chart.draw_series(line)?;
        drawn
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(36)
        .margin(12)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 16))
        .draw()?;
    canvas
        .present()
        .map_err(|e| format!("{}: {e}", file.display()).into())
}
