//! How a model's data is prepared, and the nodes that do it.

use super::error;
use super::graph::Builder;
use super::proto;
use crate::data::{
    Column, Encoding, InputColumn, Preparation, Standardizer, TargetEncoding, Unseen, number,
};
use crate::error::Result;
use crate::files::{Estimated, Model};

const PREPARATION: &str = "the model's preparation";

/// Where |shift·factor| is larger, the numbers of that column are doubles in the graph. A number near `shift` is rounded to f32 by
/// up to |shift|·2⁻²⁴, which its factor makes |shift·factor|·2⁻²⁴ of a deviation: up to here 2⁻²⁰, which is below 10⁻⁶.
const LARGEST_SHIFT: f64 = 16.0;
/// Nor are numbers f32 whose deviation is below this, or beyond its inverse: 10⁻⁸ of it would be below the smallest normal f32, and
/// 10⁸ of it are beyond the largest.
const SMALLEST_DEVIATION: f64 = 1e-30;

/// How a model's data is prepared, as far as a graph of numbers can say it.
pub(super) struct Scales {
    /// A name for each input, or nothing where they have none.
    pub names: Vec<String>,
    pub targets: TargetScale,
    /// In words.
    pub description: String,
    inputs: Standardizer,
    /// What a NaN becomes, of each input that is a number; NaN where it stays one.
    fills: Vec<f64>,
    categories: Vec<Categories>,
}

pub(super) enum TargetScale {
    Unknown,
    Classes(Vec<String>),
    /// Names, which may be missing, and scale.
    Values(Vec<String>, Option<Standardizer>),
}

/// A column of categories with something that stands in for a missing one.
struct Categories {
    /// Its first input.
    start: usize,
    /// Inputs.
    width: usize,
    /// The one of them that is 1 where the category is missing. None where all are 0.
    fill: Option<usize>,
}

impl Scales {
    pub fn of(model: &Model) -> Result<Self> {
        let (inputs, outputs) = (model.network().inputs(), model.network().outputs());
        let Some(value) = &model.preparation else {
            return Self::numbers(inputs, None, TargetScale::Unknown, "");
        };
        if value.get("estimator").is_some() {
            return match Estimated::of(model)? {
                Estimated::Classifier { classes, inputs: x } => {
                    let targets = TargetScale::Classes(classes.names().to_vec());
                    Self::numbers(inputs, x, targets, "a classifier's")
                }
                Estimated::Regressor { inputs: x, targets } => {
                    let targets = TargetScale::Values(Vec::new(), targets);
                    Self::numbers(inputs, x, targets, "a regressor's")
                }
            };
        }
        let refused = |reason| {
            let advice = "set Model::preparation to None to export the network alone, and prepare x as it was for training";
            error(PREPARATION, reason, advice)
        };
        let preparation: Preparation = serde_json::from_value(value.clone())
            .map_err(|e| refused(format!("it is none of this crate ({e})")))?;
        let (ins, outs) = (preparation.input_width(), preparation.output_width());
        // Without targets nothing is known of them.
        if ins != inputs || ![0, outputs].contains(&outs) {
            let gives = format!("it gives {ins} inputs and {outs} outputs");
            return Err(refused(format!(
                "{gives}, but the network has {inputs} and {outputs}"
            )));
        }
        let targets = match preparation.target() {
            TargetEncoding::None => TargetScale::Unknown,
            TargetEncoding::Classes { classes, .. } => {
                TargetScale::Classes(classes.names().to_vec())
            }
            TargetEncoding::Values {
                columns,
                standardizer: scale,
            } => {
                let scales = scale.cols();
                if scales != outputs {
                    let reason = format!("it has {outputs} targets, but {scales} scales");
                    return Err(refused(reason));
                }
                let names = columns.iter().map(Column::plain_name).collect();
                TargetScale::Values(names, Some(scale.clone()))
            }
        };
        let mut scale = Standardizer::identity(inputs);
        let mut fills = vec![f64::NAN; inputs];
        let mut categories = Vec::new();
        let mut at = 0;
        for input in preparation.inputs() {
            match &input.encoding {
                Encoding::Number { shift, factor, .. } => {
                    (scale.shift[at], scale.factor[at]) = (*shift, *factor);
                    if let Some(fill) = &input.fill {
                        fills[at] = fill_number(input, fill, *shift, *factor)?;
                    }
                    at += 1;
                }
                Encoding::OneHot {
                    categories: of,
                    unseen,
                } => {
                    let (start, width) = (at, of.len());
                    if let Some(fill) = input.fill.as_deref() {
                        let fill = of.index(fill);
                        // One that is none of them is an error for each row that needs it, and so is a NaN.
                        if fill.is_some() || *unseen == Unseen::Zeros {
                            categories.push(Categories { start, width, fill });
                        }
                    }
                    at += width;
                }
            }
        }
        let scales = Self::numbers(inputs, Some(scale), targets, &preparation.to_string())?;
        Ok(Self {
            names: preparation.input_names(),
            fills,
            categories,
            ..scales
        })
    }

    fn numbers(
        cols: usize,
        inputs: Option<Standardizer>,
        targets: TargetScale,
        description: &str,
    ) -> Result<Self> {
        let inputs = inputs.unwrap_or_else(|| Standardizer::identity(cols));
        check(&inputs, "input", true)?;
        if let TargetScale::Values(_, Some(standardizer)) = &targets {
            check(standardizer, "target", false)?;
        }
        Ok(Self {
            names: Vec::new(),
            targets,
            description: description.into(),
            inputs,
            fills: vec![f64::NAN; cols],
            categories: Vec::new(),
        })
    }

    /// The type of the graph's input: double where f32 cannot hold the numbers.
    pub fn input_type(&self) -> i32 {
        type_of(&self.inputs)
    }

    /// The type of `values`.
    pub fn value_type(&self) -> i32 {
        match &self.targets {
            TargetScale::Values(_, Some(standardizer)) => type_of(standardizer),
            _ => proto::FLOAT,
        }
    }

    /// What the network takes, of the graph's input.
    pub fn inputs(&self, graph: &mut Builder) -> String {
        let cols = self.fills.len();
        let x = self.filled(graph);
        let Standardizer { shift, factor, .. } = &self.inputs;
        if self.input_type() == proto::DOUBLE {
            let shift = graph.constant("x.shift", &[cols], shift);
            let factor = graph.constant("x.factor", &[cols], factor);
            let shifted = graph.node("Sub", &[&x, &shift], "x.shifted");
            let scaled = graph.node("Mul", &[&shifted, &factor], "x.scaled");
            return graph.cast(&scaled, proto::FLOAT, "x.rounded");
        }
        let mut x = x;
        // In two steps, since x − shift cancels and a shift is more than an f32 can hold: (x − high) − low is off by no more than
        // roundings of the result.
        let high = to_f32(shift);
        let low = shift.iter().zip(&high).map(|(s, &h)| s - f64::from(h));
        let low = to_f32(&low.collect::<Vec<f64>>());
        for (part, name) in [(high, "x.shift"), (low, "x.shift_rest")] {
            if part.iter().any(|&shift| shift != 0.0) {
                let shift = graph.constant(name, &[cols], &part);
                x = graph.node("Sub", &[&x, &shift], &format!("{name}ed"));
            }
        }
        if factor.iter().any(|&factor| factor != 1.0) {
            let factor = graph.constant("x.factor", &[cols], &to_f32(factor));
            x = graph.node("Mul", &[&x, &factor], "x.scaled");
        }
        x
    }

    /// The graph's input with what stands in for missing values.
    fn filled(&self, graph: &mut Builder) -> String {
        let cols = self.fills.len();
        let numbers = self.fills.iter().any(|fill| !fill.is_nan());
        if !numbers && self.categories.is_empty() {
            return "x".into();
        }
        let missing = graph.node("IsNaN", &["x"], "x.missing");
        let mut x = "x".to_owned();
        if numbers {
            let fills = self.constant(graph, "x.fills", &self.fills);
            x = graph.node("Where", &[&missing, &fills, &x], "x.filled");
        }
        if self.categories.is_empty() {
            return x;
        }
        // A category is missing where each of its column's inputs is: they are counted. One count more, always 0, is of all the
        // inputs that are in none of these columns.
        let columns = self.categories.len() + 1;
        let mut inputs_of = vec![0.0f32; cols * columns];
        let mut enough = vec![0.5f32; columns];
        let mut column_of = vec![columns as i64 - 1; cols];
        let mut fills = vec![0.0; cols];
        for (c, column) in self.categories.iter().enumerate() {
            for input in column.start..column.start + column.width {
                inputs_of[input * columns + c] = 1.0;
                column_of[input] = c as i64;
            }
            enough[c] = column.width as f32 - 0.5;
            if let Some(fill) = column.fill {
                fills[column.start + fill] = 1.0;
            }
        }
        let inputs_of = graph.constant("x.categories", &[cols, columns], &inputs_of);
        let enough = graph.constant("x.categories.enough", &[columns], &enough);
        let column_of = graph.constant("x.categories.column", &[cols], &column_of);
        let fills = self.constant(graph, "x.categories.fills", &fills);
        let ones = graph.cast(&missing, proto::FLOAT, "x.missing.ones");
        let counts = graph.node("MatMul", &[&ones, &inputs_of], "x.categories.counts");
        let lacking = graph.node("Greater", &[&counts, &enough], "x.categories.lacking");
        let over_inputs = vec![proto::int("axis", 1)];
        let (gather, missing) = ([&*lacking, &*column_of], "x.categories.missing");
        let lacking = graph.node_with("Gather", &gather, missing, over_inputs);
        graph.node("Where", &[&lacking, &fills, &x], "x.categories.filled")
    }

    /// A number for each input, of the type of the graph's input.
    fn constant(&self, graph: &mut Builder, name: &str, x: &[f64]) -> String {
        match self.input_type() == proto::DOUBLE {
            true => graph.constant(name, &[x.len()], x),
            false => graph.constant(name, &[x.len()], &to_f32(x)),
        }
    }

    /// Values in their units, of the network's output.
    pub fn values(&self, graph: &mut Builder, h: &str) -> String {
        let mut h = h.to_owned();
        let TargetScale::Values(_, Some(Standardizer { shift, factor, .. })) = &self.targets else {
            return h;
        };
        let cols = shift.len();
        if self.value_type() == proto::DOUBLE {
            // As `Standardizer::inverse` computes it: the same doubles come out.
            let factor = graph.constant("values.factor", &[cols], factor);
            let shift = graph.constant("values.shift", &[cols], shift);
            let h = graph.cast(&h, proto::DOUBLE, "values.standardised");
            let scaled = graph.node("Div", &[&h, &factor], "values.scaled");
            return graph.node("Add", &[&scaled, &shift], "values.shifted");
        }
        if factor.iter().any(|&factor| factor != 1.0) {
            let scale: Vec<f64> = factor.iter().map(|factor| 1.0 / factor).collect();
            let scale = graph.constant("values.scale", &[cols], &to_f32(&scale));
            h = graph.node("Mul", &[&h, &scale], "values.scaled");
        }
        if shift.iter().any(|&shift| shift != 0.0) {
            let shift = graph.constant("values.shift", &[cols], &to_f32(shift));
            h = graph.node("Add", &[&h, &shift], "values.shifted");
        }
        h
    }
}

fn to_f32(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

/// Double where f32 cannot hold the numbers that come to this scale.
fn type_of(Standardizer { shift, factor, .. }: &Standardizer) -> i32 {
    let far = |(shift, factor): (&f64, &f64)| {
        let deviations = SMALLEST_DEVIATION..=1.0 / SMALLEST_DEVIATION;
        // A factor of 0 makes 0 of every number.
        *factor != 0.0
            && ((shift * factor).abs() > LARGEST_SHIFT || !deviations.contains(&factor.abs()))
    };
    match shift.iter().zip(factor).any(far) {
        true => proto::DOUBLE,
        false => proto::FLOAT,
    }
}

/// Whether numbers can come to this scale, and back unless it may be 0 (of a constant column of inputs).
fn check(Standardizer { shift, factor, .. }: &Standardizer, what: &str, zero: bool) -> Result<()> {
    let broken = |(shift, factor): (&f64, &f64)| {
        !shift.is_finite() || !(factor.is_normal() || *factor == 0.0 && zero)
    };
    let Some(col) = shift.iter().zip(factor).position(broken) else {
        return Ok(());
    };
    let (shift, factor) = (shift[col], factor[col]);
    let how = format!("shifted by {shift:e} and multiplied by {factor:e}");
    let reason = format!("{what} {col} (from 0) is {how}, and no number comes back from that");
    Err(error(PREPARATION, reason, "train the model again"))
}

/// What stands in for a missing number.
fn fill_number(input: &InputColumn, fill: &str, shift: f64, factor: f64) -> Result<f64> {
    let sound = |x: &f64| (((x - shift) * factor) as f32).is_finite();
    number(fill).filter(sound).ok_or_else(|| {
        let filled = format!("missing values of {} become {fill:?}", input.column);
        let reason = format!("{filled}, which is no number that the network can take");
        let advice = "train the model again, with another value for missing ones";
        error(PREPARATION, reason, advice)
    })
}
