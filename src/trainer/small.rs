//! Small networks: whole steps in one workgroup, where that is faster.

use std::time::Instant;

use super::{Trainer, initial_weights};
use crate::error::Result;
use crate::exec::Executor;
use crate::kernels::StepAt;
use crate::plan::{Op, Payload, ResidentData, RowKind};
use crate::tune;

/// Steps that a measurement takes at once.
const STEPS: u32 = 16;
/// Measurements of each way.
const TURNS: usize = 6;

impl Trainer {
    /// The step of a batch, or of data on the device, as one op, where the network is small and that is the faster way.
    pub(super) fn small_step(
        &self,
        data: Option<&ResidentData>,
        rows: usize,
        kind: RowKind,
    ) -> Result<Option<Op>> {
        let Executor::Gpu(executor) = &self.executor else {
            return Ok(None);
        };
        let (rows, room) = (rows as u32, self.room as u64);
        let of = |data| {
            self.plan
                .small_network(data, rows, room, kind, &self.rule())
        };
        let (Some(op), Some(of_batch)) = (of(data), of(None)) else {
            return Ok(None);
        };
        let name = self.small_name(rows);
        let measure = || self.measure(&of_batch, rows, kind);
        let small = tune::small_network(&executor.gpu, &of_batch.call, name, measure)?;
        Ok(small.then_some(op))
    }

    /// What the choices call this network with such a batch.
    fn small_name(&self, rows: u32) -> String {
        let network = &self.plan.network;
        let mut widths = network.inputs().to_string();
        for layer in network.layers() {
            widths += &format!("-{}", layer.outputs);
        }
        let phi = &network.layers()[0].activation;
        format!("{widths} {phi}, {rows} rows, {}", self.optimizer.name())
    }

    /// Seconds a step in one workgroup, and op by op.
    fn measure(&self, small: &Op, rows: u32, kind: RowKind) -> Result<(f64, f64)> {
        let plan = &self.plan;
        let mut ops = plan.gradients(rows, self.room as u64, kind, false);
        ops.extend(plan.update(&self.rule()));
        let room = self.room as u64;
        tune::prepare(&self.device, &ops)?;
        let count = STEPS as usize * ops.len();
        let mut executor = Executor::of_plan(&self.device, plan, room, count)?;
        initial_weights(plan, 0, |view, data| {
            executor.write(view, Payload::Floats(data))
        })?;
        let x = plan.x_view(room);
        let numbers: Vec<f32> = (0..x.len)
            .map(|i| (i * 7919 % 1999) as f32 / 1000.0 - 1.0)
            .collect();
        executor.write(x, Payload::Floats(&numbers))?;
        let at = plan.at(&self.optimizer, 1, f64::from(rows));
        let at_once = StepAt { steps: STEPS, ..at };
        let steps = [at; STEPS as usize];
        let ways: [(&[Op], &[StepAt]); 2] =
            [(std::slice::from_ref(small), &[at_once]), (&ops, &steps)];
        let mut least = [f64::INFINITY; 2];
        // In turns: other work on the machine slows both or none. The first compiles.
        for _ in 0..TURNS {
            for ((ops, steps), least) in ways.iter().zip(&mut least) {
                let start = Instant::now();
                executor.submit(ops, steps, &[])?;
                executor.wait()?;
                *least = least.min(start.elapsed().as_secs_f64() / f64::from(STEPS));
            }
        }
        Ok((least[0], least[1]))
    }
}
