//! A training step on a CPU allocates nothing, but for the gemm crate's packed operands. Alone in its process, whose
//! allocations it counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use wgrad::{Activation::*, Adam, Dataset, Device, Loss, Matrix, Mlp, Storage, Trainer};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is handed to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = COUNT.load(Ordering::Relaxed);
    f();
    COUNT.load(Ordering::Relaxed) - before
}

fn trainer(device: &Device, widths: &[usize], batch: usize) -> (Trainer, Dataset) {
    let x = (0..widths[0] * batch).map(|i| (i % 101) as f32 / 50.0 - 1.0);
    let labels = (0..batch).map(|r| (r % 5) as u32).collect();
    let data = Dataset::classes(Matrix::new(widths[0], x.collect()).unwrap(), labels).unwrap();
    let mut network = Mlp::new(widths[0]);
    for &width in &widths[1..] {
        network = network.dense(width, Gelu);
    }
    let network = network.dense(5, Identity);
    let trainer = Trainer::new(device, &network, Loss::CrossEntropy, Adam::default(), 3).unwrap();
    (trainer, data)
}

/// In 1000 steps, after some that warm up: the least of three counts, since the test harness has a thread of its own that now and
/// then allocates meanwhile.
fn of_steps(trainer: &mut Trainer, data: &Dataset) -> u64 {
    for _ in 0..3 {
        trainer.step(data).unwrap();
    }
    let mut count = || {
        allocations(|| {
            for _ in 0..1000 {
                trainer.step(data).unwrap();
            }
        })
    };
    (0..3).map(|_| count()).min().unwrap_or(0)
}

#[test]
fn a_step_on_a_cpu_allocates_nothing_of_its_own() {
    // The reference runs the same executor on plain loops.
    let (mut small, data) = trainer(&Device::reference(), &[9, 7, 6], 4);
    assert_eq!(of_steps(&mut small, &data), 0);
    // Nor do normalisation, dropout and residual connections.
    let network = Mlp::new(9)
        .dense(9, Gelu)
        .layer_norm()
        .dropout(0.1)
        .residual()
        .dense(6, Tanh)
        .batch_norm()
        .dense(5, Identity);
    let adam = Adam::default();
    let mut layered =
        Trainer::new(&Device::reference(), &network, Loss::CrossEntropy, adam, 3).unwrap();
    assert_eq!(of_steps(&mut layered, &data), 0);
    // An epoch draws its order, and no more.
    let mut loaded = small.load(&data, Storage::F32).unwrap();
    let mut of_epoch = |size: usize| {
        small.epoch(&mut loaded, size, Some(0)).unwrap();
        allocations(|| small.epoch(&mut loaded, size, Some(1)).unwrap())
    };
    let (one, four) = (of_epoch(4), of_epoch(1));
    assert!(one <= 4 && four == one, "{one} for a step, {four} for 4");

    // On the CPU path, gemm packs two operands a product: 3 forward, 3 for gradients, 2 for δ.
    let (mut small, data) = trainer(&Device::cpu(), &[19, 33, 17], 24);
    let found = of_steps(&mut small, &data);
    assert!(found <= 2 * 8 * 1000, "{found}");
}
