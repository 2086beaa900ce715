//! Awkward inputs: the shapes, contents and traps on which every kernel is judged.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::{Access, Call, Format, StepAt};
use crate::config::activation::{Activation, Saved};
use crate::config::init::{normal, unit};

/// Words that no kernel may read or write stand on both sides of every operand: quiet NaNs with a payload that
/// arithmetic does not produce.
pub(crate) const GUARD: u32 = 0x7fc0_beef;
/// How many of them: enough for a vec4 overrun of a tile's edge.
pub(crate) const GUARD_WORDS: usize = 64;

/// Sides of a product beyond this many elements take every form long, on a software adapter.
pub(crate) const LONG: u32 = 60_000;

/// Contents of an operand.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Floats(Vec<f32>),
    Words(Vec<u32>),
}

impl From<Vec<f32>> for Data {
    fn from(x: Vec<f32>) -> Self {
        Self::Floats(x)
    }
}

impl Data {
    pub fn bits(&self) -> Vec<u32> {
        match self {
            Data::Floats(x) => x.iter().map(|x| x.to_bits()).collect(),
            Data::Words(x) => x.clone(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Data::Floats(x) => x.len(),
            Data::Words(x) => x.len(),
        }
    }

    /// The same bits as words.
    pub fn into_words(self) -> Self {
        Self::Words(self.bits())
    }

    /// Makes every column outside [first, first + count) of the row-major data a trap.
    pub fn poison_columns(&mut self, stride: u32, first: u32, count: u32) {
        let Data::Floats(x) = self else { return };
        for row in x.chunks_mut(stride as usize) {
            for (c, x) in row.iter_mut().enumerate() {
                if !(first..first + count).contains(&(c as u32)) {
                    *x = f32::from_bits(GUARD);
                }
            }
        }
    }
}

impl Data {
    /// The same with an infinity in place of the first of several elements, and a NaN in place of the last.
    pub fn spoiled(self) -> Self {
        let Data::Floats(mut x) = self else {
            return self;
        };
        if let [first, .., last] = &mut x[..] {
            (*first, *last) = (f32::INFINITY, f32::NAN);
        }
        Data::Floats(x)
    }

    /// For sums of more than 60,000 terms: leaves about 64 of them non-zero, the last one included. The rounding bound of
    /// so long a sum of full terms would hide a missing one. `k_of` gives an element's place in the sum.
    pub fn thin(&mut self, k: u32, k_of: impl Fn(usize) -> usize) {
        let Data::Floats(x) = self else { return };
        if k <= LONG {
            return;
        }
        for (i, x) in x.iter_mut().enumerate() {
            let at = k_of(i);
            if at.is_multiple_of(1021) || at + 1 == k as usize {
                *x += x.signum();
            } else {
                *x = 0.0;
            }
        }
    }
}

/// One call of a kernel with everything that it reads and finds.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub call: Call,
    pub at: StepAt,
    pub activation: Activation,
    pub reads: Vec<Data>,
    /// What the written operands hold before: numbers where the kernel adds to them, guards where it must not look.
    pub writes: Vec<Data>,
    /// A written operand that may hold anything, because another one says that it is void.
    pub void: Option<&'static str>,
}

impl Case {
    pub fn new(call: impl Into<Call>, reads: Vec<Data>, writes: Vec<Data>) -> Self {
        let call = call.into();
        let operands = call.kernel().operands;
        debug_assert_eq!(reads.len() + writes.len(), operands.len());
        Self {
            call,
            at: StepAt::default(),
            activation: Activation::Identity,
            reads,
            writes,
            void: None,
        }
    }

    /// The same with this in the operand of that name.
    pub fn with(mut self, name: &str, data: Data) -> Self {
        let operands = self.call.kernel().operands.iter();
        let contents = self.reads.iter_mut().chain(&mut self.writes);
        for (operand, held) in operands.zip(contents) {
            if operand.name == name {
                *held = data;
                return self;
            }
        }
        unreachable!("{} has no operand {name}", self.call.name())
    }

    /// The same with this activation.
    pub fn through(self, activation: &Activation) -> Self {
        Self {
            activation: activation.clone(),
            ..self
        }
    }

    /// The same in this step.
    pub fn at(self, at: StepAt) -> Self {
        Self { at, ..self }
    }
}

/// Seeded contents and the list of awkward shapes; or typical shapes, with one element in place of contents.
#[derive(Debug)]
pub(crate) struct Generator {
    rng: ChaCha8Rng,
    typical: bool,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            typical: false,
        }
    }

    /// Shapes that training has, for the profile, which fills the operands itself.
    pub fn typical() -> Self {
        Self {
            typical: true,
            ..Self::new(0)
        }
    }

    /// These shapes, or what is typical for them.
    pub fn shapes<T: Copy>(&self, awkward: &[T], typical: T) -> Vec<T> {
        if self.typical {
            vec![typical]
        } else {
            awkward.to_vec()
        }
    }

    /// A case with operands of the shapes that the call declares: numbers in what it reads, nothing yet in what it writes, and of
    /// words a placeholder.
    pub fn case(&mut self, call: impl Into<Call>) -> Case {
        let call = call.into();
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for (operand, n) in call.kernel().operands.iter().zip(call.sizes()) {
            match operand.access {
                Access::Read if operand.words => reads.push(Data::Words(vec![GUARD])),
                Access::Read => reads.push(self.floats(n as u32)),
                Access::Write => writes.push(self.untouched(n.max(1) as u32)),
            }
        }
        Case::new(call, reads, writes)
    }

    /// So many elements of an operand.
    fn elements<T>(&mut self, n: u32, mut next: impl FnMut(&mut ChaCha8Rng, u32) -> T) -> Vec<T> {
        let n = if self.typical { 1 } else { n };
        (0..n).map(|i| next(&mut self.rng, i)).collect()
    }

    /// Normally distributed numbers, with an exact zero here and there.
    pub fn floats(&mut self, n: u32) -> Data {
        Data::Floats(self.normals(n))
    }

    fn normals(&mut self, n: u32) -> Vec<f32> {
        self.elements(n, |rng, i| match i % 29 {
            28 => 0.0,
            _ => normal(rng) as f32,
        })
    }

    /// Normally distributed numbers times `scale`.
    pub fn scaled(&mut self, n: u32, scale: f32) -> Data {
        Data::Floats(self.normals(n).iter().map(|x| x * scale).collect())
    }

    /// Numbers in (0, 1).
    pub fn fractions(&mut self, n: u32) -> Data {
        Data::Floats(self.elements(n, |rng, _| (unit(rng) as f32).max(1e-3)))
    }

    /// Rows of probabilities, some of them 0.
    pub fn probabilities(&mut self, rows: u32, cols: u32) -> Data {
        let mut x = self.elements(rows * cols, |rng, _| (unit(rng) as f32 - 0.3).max(0.0));
        for row in x.chunks_mut(cols as usize) {
            let sum: f32 = row.iter().sum();
            if sum > 0.0 {
                row.iter_mut().for_each(|x| *x /= sum);
            } else {
                row[0] = 1.0;
            }
        }
        Data::Floats(x)
    }

    /// A class index a row.
    pub fn labels(&mut self, rows: u32, classes: u32) -> Data {
        self.order(rows, classes)
    }

    /// `n` places in `rows` rows, in no order.
    pub fn order(&mut self, n: u32, rows: u32) -> Data {
        let rows = if self.typical { 1 } else { rows };
        Data::Words(self.elements(n, |rng, _| (unit(rng) * f64::from(rows)) as u32))
    }

    /// Operands for a kernel that reads a batch x (rows, cols): the batch itself (format `None`; `order` is not looked at), or
    /// data on a device with an order in which the batch begins at `start`.
    pub fn batch(
        &mut self,
        (rows, cols): (u32, u32),
        format: Option<Format>,
        start: u32,
    ) -> [Data; 2] {
        let Some(format) = format else {
            return [self.floats(rows * cols), Data::Words(vec![GUARD])];
        };
        let held = rows / 2 + 9;
        if self.typical {
            return [self.floats(1).into_words(), self.order(1, held)];
        }
        let mut words = Vec::new();
        for _ in 0..held {
            let row: Vec<f32> = match format {
                Format::U8 { scale } => (0..cols)
                    .map(|_| (unit(&mut self.rng) * 256.0).floor() as f32 * scale as f32)
                    .collect(),
                _ => self.normals(cols),
            };
            format.encode(&row, &mut words);
        }
        [Data::Words(words), self.order(rows + start, held)]
    }

    /// A ledger (see shaders/loss_sum.wgsl) whose loss is finite, after two refused updates.
    pub fn ledger(&mut self) -> Data {
        let mut x: Vec<f32> = (0..8).map(|_| normal(&mut self.rng) as f32).collect();
        // Batches in the first sum, faults, an overflow; the loss; refused updates; the factor that clips.
        x[2..8].copy_from_slice(&[510.0, 3.0, 0.0, 0.75, 2.0, 0.375]);
        Data::Floats(x)
    }

    /// The states of an optimiser that has so many: a mean if there are two, and a mean square, of a gradient about so large.
    pub fn states(&mut self, states: usize, count: u32, gradient: f32) -> [Data; 2] {
        let squares = |g: &mut Self| match g.fractions(count) {
            Data::Floats(x) => Data::Floats(x.iter().map(|x| x * gradient * gradient).collect()),
            words => words,
        };
        match states {
            0 => [self.untouched(1), self.untouched(1)],
            1 => [squares(self), self.untouched(1)],
            _ => [self.scaled(count, gradient), squares(self)],
        }
    }

    /// So many z, or φ(z), as the activation's derivative wants it.
    pub fn saved(&mut self, phi: &Activation, n: u32) -> Data {
        saved_of(phi, self.normals(n)).into()
    }

    /// Space that must be written before it is read.
    pub fn untouched(&mut self, n: u32) -> Data {
        Data::Floats(self.elements(n, |_, _| f32::from_bits(GUARD)))
    }

    /// What is there before: numbers where the kernel adds to them.
    pub fn found(&mut self, accumulate: u32, n: u32) -> Data {
        match accumulate {
            0 => self.untouched(n),
            _ => self.floats(n),
        }
    }

    /// (m, k, n) around every edge: single elements, tiles less and more one, sides of whole vec4s and of others, reductions
    /// and rows beyond 65,535.
    pub fn matmul_shapes(&self) -> Vec<(u32, u32, u32)> {
        let awkward = [
            (1, 1, 1),
            (1, 17, 1),
            (3, 1, 17),
            (17, 3, 257),
            (31, 33, 32),
            (32, 32, 33),
            (33, 31, 31),
            (36, 20, 132),
            (63, 15, 65),
            (129, 17, 129),
            (128, 64, 257),
            (257, 16, 128),
            (2, 65_541, 3),
            (65_541, 2, 3),
            (3, 2, 65_541),
        ];
        self.shapes(&awkward, (256, 512, 512))
    }

    /// (first, stride) of a panel of so many outputs: the whole layer, and one in the middle of it, on whole vec4s where the
    /// panel is. Products with so long a side that every form takes long for them are made in the second alone.
    pub fn panels(&self, outputs: u32, longest: u32) -> Vec<(u32, u32)> {
        let middle = if outputs.is_multiple_of(4) {
            (4, outputs + 8)
        } else {
            (2, outputs + 5)
        };
        if longest > LONG {
            return vec![middle];
        }
        vec![(0, outputs), middle]
    }

    /// Formats of data on a device, with shapes (m, k, n) on which each is tried.
    pub fn formats(&self) -> Vec<(Format, (u32, u32, u32))> {
        let formats = [Format::F32, Format::F16, Format::U8 { scale: 1.0 / 16.0 }];
        let shapes = [(5, 19, 21), (33, 31, 31), (36, 20, 132), (70, 66, 35)];
        let pairs = formats.iter().flat_map(|f| shapes.map(|shape| (*f, shape)));
        self.shapes(&pairs.collect::<Vec<_>>(), (Format::F32, (4096, 256, 256)))
    }

    /// (rows, columns) for row kernels: every number of lanes, rows beyond 65,535.
    pub fn row_shapes(&self) -> Vec<(u32, u32)> {
        let awkward = [
            (1, 1),
            (3, 2),
            (17, 10),
            (63, 17),
            (65, 33),
            (33, 64),
            (7, 127),
            (2, 257),
            (3, 4099),
            (65_541, 3),
        ];
        self.shapes(&awkward, (4096, 256))
    }

    /// (rows, columns) for column kernels: around the 16 rows and columns of a workgroup, rows and columns beyond 65,535.
    pub fn column_shapes(&self) -> Vec<(u32, u32)> {
        let awkward = [
            (2, 1),
            (3, 2),
            (15, 17),
            (16, 16),
            (17, 15),
            (33, 64),
            (257, 33),
            (2, 257),
            (3, 65_541),
            (65_541, 3),
        ];
        self.shapes(&awkward, (4096, 256))
    }

    /// Element counts around the workgroup and beyond one grid dimension of workgroups.
    pub fn counts(&self) -> Vec<u32> {
        self.shapes(&[1, 3, 17, 255, 256, 257, 65_541], 1 << 20)
    }
}

/// z, or φ(z), as the activation's derivative wants it.
pub(crate) fn saved_of(phi: &Activation, z: Vec<f32>) -> Vec<f32> {
    match phi.saved() {
        Saved::Input => z,
        Saved::Output => z.iter().map(|&z| phi.apply(z.into()) as f32).collect(),
    }
}

/// The range that losses and activations promise to survive, fine near zero.
pub(crate) fn sweep() -> impl Iterator<Item = f32> {
    (-2000..=2000).map(|i| {
        let t = f64::from(i) / 2000.0;
        (t.signum() * (1e4f64.powf(t.abs()) - 1.0) * (t.abs() * 4.0).min(1.0)) as f32
    })
}
