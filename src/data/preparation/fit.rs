//! What the training rows say: scales, categories, what stands in for missing values. The columns' kinds are decided before, by the
//! [`Survey`].

use std::collections::HashMap;

use super::apply::{computable, finite};
use super::survey::{Roles, Survey};
use super::{
    Encoding, InputColumn, Missing, Preparation, PreparationOptions, Raw, Scaling, TargetEncoding,
};
use crate::data::class_map::ClassMap;
use crate::data::frame::{Frame, FrameRow, Value};
use crate::data::number;
use crate::data::standardizer::{Moments, Standardizer};
use crate::error::{ColumnKind, Error, Result};

impl Preparation {
    /// Fits a preparation to training data: a [`Table`](crate::Table), a [`DataFile`](crate::DataFile), a [`Dataset`](crate::Dataset), or a
    /// [`Matrix`](crate::Matrix) of inputs. All rows are training rows; where some are held out, see
    /// [`fit_rows`](Self::fit_rows).
    ///
    /// # Errors
    /// As [`Survey::of`]; [`Error::Column`] for a column with a category too many.
    pub fn fit<'a>(data: impl Into<Raw<'a>>, options: &PreparationOptions) -> Result<Self> {
        let raw = data.into();
        let survey = Survey::of(raw, options)?;
        let rows: Vec<usize> = (0..survey.rows()).collect();
        Self::fit_rows(raw, &survey, &rows, options)
    }

    /// Fits a preparation to some of the rows, by their numbers among those that the survey keeps: the other rows have no part in
    /// means, deviations, categories and what stands in for missing values.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such row, or none; [`Error::Column`] for a column with a category too many.
    pub fn fit_rows<'a>(
        data: impl Into<Raw<'a>>,
        survey: &Survey,
        rows: &[usize],
        options: &PreparationOptions,
    ) -> Result<Self> {
        let raw = data.into();
        let frame = Frame::new(raw);
        let mut wanted = vec![false; frame.rows()];
        let kept = survey.rows();
        match rows.iter().find(|&&row| row >= kept) {
            None if !rows.is_empty() => {}
            bad => {
                let name = "the rows to fit a preparation to";
                let value = bad.map_or("none".into(), usize::to_string);
                let allowed = format!("rows below {kept}, at least one");
                return Err(Error::argument(name, value, allowed));
            }
        }
        rows.iter()
            .for_each(|&row| wanted[survey.raw_row(row)] = true);
        gather(&frame, survey, &wanted, options)
    }
}

/// Goes through the rows, for what their columns have.
fn gather(
    frame: &Frame<'_>,
    survey: &Survey,
    wanted: &[bool],
    options: &PreparationOptions,
) -> Result<Preparation> {
    let roles = Roles::new(frame, options)?;
    let rules: Vec<&Missing> = survey.inputs.iter().map(|&c| roles.rule(c)).collect();
    let mut inputs: Vec<Gathered> = survey.numbers.iter().map(|&n| Gathered::new(n)).collect();
    let classes = survey.classes();
    let mut moments = vec![Moments::default(); survey.targets.len()];
    frame.for_rows(0..frame.rows(), |row| {
        if !wanted[row.index] {
            return Ok(());
        }
        // Rows that weigh nothing take no part.
        if let Some(c) = survey.weights
            && row.number(c, &row.value(c)?) == Some(0.0)
        {
            return Ok(());
        }
        for ((gathered, &c), rule) in inputs.iter_mut().zip(&survey.inputs).zip(&rules) {
            gathered.add(row, c, rule)?;
        }
        if classes.is_none() {
            for (moments, &c) in moments.iter_mut().zip(&survey.targets) {
                moments.add(finite(row, c, &row.value(c)?)?);
            }
        }
        Ok(())
    })?;
    let column = |index: usize| frame.known(index);
    let target = match classes {
        Some(classes) => TargetEncoding::Classes {
            column: column(survey.targets[0]),
            classes: classes.clone(),
        },
        None if survey.targets.is_empty() => TargetEncoding::None,
        None => TargetEncoding::Values {
            columns: survey.targets.iter().map(|&c| column(c)).collect(),
            standardizer: standardizer(&moments, options.standardize_target),
        },
    };
    let image = survey.inputs.iter().all(|&c| frame.is_image(c));
    let mut columns = Vec::with_capacity(inputs.len());
    for (i, gathered) in inputs.into_iter().enumerate() {
        let c = survey.inputs[i];
        let fitting = Fitting {
            roles: &roles,
            column: c,
            rule: rules[i],
            lacking: survey.lacking[i],
            texts: survey.texts[i],
            image,
        };
        let (encoding, fill) = fitting.input(gathered)?;
        let column = column(c);
        columns.push(InputColumn {
            column,
            encoding,
            fill,
        });
    }
    Ok(Preparation {
        width: frame.cols(),
        inputs: columns,
        target,
        targets_apart: frame.targets_from.is_some(),
        drop_rows: options.missing == Missing::Drop && options.missing_in.is_empty(),
        drop_for: survey.drop_for.clone(),
        missing: frame.missing().to_vec(),
        ids: survey.ids.iter().map(|&c| column(c)).collect(),
        weights: survey.weights.map(column),
        read_as: frame.read_as(0),
        targets_read_as: frame.read_as(1),
    })
}

fn standardizer(moments: &[Moments], standardize: bool) -> Standardizer {
    match standardize {
        true => Standardizer::of(moments),
        false => Standardizer::identity(moments.len()),
    }
}

#[derive(Default)]
struct GatheredNumbers {
    moments: Moments,
    /// For a median.
    all: Vec<f64>,
    /// How often each comes, by its bits.
    counts: HashMap<u64, usize>,
}

/// What is gathered from a column of inputs.
enum Gathered {
    Numbers(GatheredNumbers),
    /// How often each comes, and the number that it stands for.
    Categories(HashMap<String, (usize, f64)>),
}

impl Gathered {
    fn new(numbers: bool) -> Self {
        match numbers {
            true => Gathered::Numbers(GatheredNumbers::default()),
            false => Gathered::Categories(HashMap::new()),
        }
    }

    fn add(&mut self, row: &FrameRow<'_>, column: usize, rule: &Missing) -> Result<()> {
        let value = row.value(column)?;
        if value == Value::Missing {
            return Ok(());
        }
        match self {
            Gathered::Numbers(numbers) => {
                let x = computable(row, column, &value)?;
                numbers.moments.add(x);
                match rule {
                    Missing::Median => numbers.all.push(x),
                    Missing::MostFrequent => {
                        *numbers.counts.entry((x + 0.0).to_bits()).or_default() += 1;
                    }
                    _ => {}
                }
            }
            Gathered::Categories(counts) => {
                let x = row.number(column, &value).unwrap_or(f64::NAN);
                count(counts, &value.text(), x);
            }
        }
        Ok(())
    }
}

fn count(counts: &mut HashMap<String, (usize, f64)>, name: &str, x: f64) {
    match counts.get_mut(name) {
        Some((count, _)) => *count += 1,
        None => {
            counts.insert(name.into(), (1, x));
        }
    }
}

/// A column of inputs on its way to an encoding.
struct Fitting<'a> {
    roles: &'a Roles<'a>,
    column: usize,
    rule: &'a Missing,
    /// Whether a value is missing, in a training row or another.
    lacking: bool,
    /// Whether it has texts that no number is written as.
    texts: bool,
    /// Whether all columns are bytes of images.
    image: bool,
}

impl Fitting<'_> {
    fn input(&self, gathered: Gathered) -> Result<(Encoding, Option<String>)> {
        match gathered {
            Gathered::Numbers(numbers) => self.numbers(numbers),
            Gathered::Categories(counts) => self.categories(counts),
        }
    }

    fn numbers(&self, numbers: GatheredNumbers) -> Result<(Encoding, Option<String>)> {
        let GatheredNumbers {
            moments,
            mut all,
            counts,
        } = numbers;
        let bytes = (0.0, f64::from(1.0_f32 / 255.0));
        let (shift, factor) = match self.roles.options.scaling {
            Scaling::None => (0.0, 1.0),
            Scaling::Bytes => bytes,
            Scaling::Auto if self.image => bytes,
            // What says nothing stays at 0 whatever comes: its weights learn nothing.
            Scaling::Auto | Scaling::Standard if moments.is_constant() => (moments.mean(), 0.0),
            Scaling::Auto | Scaling::Standard => moments.scaling(),
        };
        let fill = match self.rule {
            Missing::Error | Missing::Drop => None,
            Missing::Mean => Some(moments.mean().to_string()),
            Missing::Median => Some(median(&mut all).to_string()),
            Missing::MostFrequent => {
                let counts = counts.iter().map(|(&bits, &n)| (n, f64::from_bits(bits)));
                let best = counts.max_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
                best.map(|(_, x)| x.to_string())
            }
            Missing::Constant(text) => match number(text.trim()).filter(|x| x.is_finite()) {
                Some(_) => Some(text.trim().into()),
                None if self.lacking => {
                    let name = format!(
                        "the constant for missing values of {}",
                        self.roles.label(self.column)
                    );
                    let allowed = "a finite number, since the column's values are numbers";
                    return Err(Error::argument(name, format!("{text:?}"), allowed));
                }
                None => None,
            },
        };
        let encoding = Encoding::Number {
            shift,
            factor,
            constant: moments.is_constant(),
        };
        Ok((encoding, fill))
    }

    fn categories(
        &self,
        mut counts: HashMap<String, (usize, f64)>,
    ) -> Result<(Encoding, Option<String>)> {
        if counts.is_empty() {
            let problem = "it has no values in the rows to train on, all are missing";
            return Err(self.about(ColumnKind::Empty, problem, "leave that column out"));
        }
        let rows: usize = counts.values().map(|(n, _)| n).sum();
        let mut own = self.roles.missing_in.iter().map(|(c, _)| c);
        if own.any(|&c| c == self.column) && matches!(self.rule, Missing::Mean | Missing::Median) {
            let name = format!(
                "the rule for missing values of {}",
                self.roles.label(self.column)
            );
            let value = format!("{:?}", self.rule).to_lowercase();
            let allowed = "error, drop, the most frequent or a constant, since it has categories";
            return Err(Error::argument(name, value, allowed));
        }
        let of = |counts: &HashMap<String, (usize, f64)>| match self.texts {
            true => ClassMap::new(counts.keys().cloned()),
            false => {
                let counted = counts.iter().map(|(name, &(n, x))| (name.clone(), x, n));
                ClassMap::of_numbers(counted.collect())
            }
        };
        let mut categories = of(&counts)?;
        let fill = match self.rule {
            Missing::Error | Missing::Drop => None,
            Missing::Mean | Missing::Median | Missing::MostFrequent => {
                let mut often = vec![0; categories.len()];
                for (name, &(n, x)) in &counts {
                    let index = match categories.is_numeric() {
                        true => categories.index_of_number(x),
                        false => categories.index(name),
                    };
                    often[index.unwrap_or_default()] += n;
                }
                let order = |a: &usize, b: &usize| often[*a].cmp(&often[*b]).then(b.cmp(a));
                let best = (0..often.len()).max_by(order);
                best.and_then(|best| categories.name(best))
                    .map(String::from)
            }
            Missing::Constant(text) => Some(text.clone()),
        };
        if let (true, Some(fill)) = (self.lacking, &fill)
            && categories.index(fill).is_none()
        {
            count(&mut counts, fill, number(fill).unwrap_or(f64::NAN));
            categories = of(&counts)?;
        }
        let most = self.roles.options.max_categories;
        let said = self.roles.categorical.contains(&self.column);
        let (count, kind) = (categories.len(), ColumnKind::ManyCategories);
        if count > most {
            let problem = format!(
                "it has {count} categories, and at most {most} are allowed, since each becomes an input"
            );
            let advice = "leave that column out, call it numeric if its values are numbers, or allow more categories";
            return Err(self.about(kind, problem, advice));
        }
        // As many as rows: it tells them apart and says nothing of others.
        if !said && rows >= super::survey::ENOUGH && 10 * count > 9 * rows {
            let problem = format!(
                "it has {count} categories in {rows} rows: it tells rows apart and says nothing of new ones"
            );
            let advice = "leave that column out; call it categorical if these are categories all the same, or numeric if they \
                          are numbers";
            return Err(self.about(kind, problem, advice));
        }
        let unseen = self.roles.options.unseen;
        Ok((Encoding::OneHot { categories, unseen }, fill))
    }

    fn about(&self, kind: ColumnKind, problem: impl Into<String>, advice: &str) -> Error {
        self.roles.about(self.column, kind, problem, advice)
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(all: &mut [f64]) -> f64 {
    if all.is_empty() {
        return 0.0;
    }
    all.sort_unstable_by(f64::total_cmp);
    let middle = all.len() / 2;
    match all.len().is_multiple_of(2) {
        // Halved before they are added: their sum may be too large.
        true => 0.5 * all[middle - 1] + 0.5 * all[middle],
        false => all[middle],
    }
}
