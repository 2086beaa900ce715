//! Threefry-2x32 with 20 rounds: shaders/threefry.wgsl in Rust.

/// The text that kernels append.
pub(crate) const WGSL: &str = include_str!("../../shaders/threefry.wgsl");

/// Random words from a key and a counter (Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, 2011).
#[inline(always)]
pub(crate) fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROUNDS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd1_1bda];
    let (mut x, mut y) = (
        counter[0].wrapping_add(keys[0]),
        counter[1].wrapping_add(keys[1]),
    );
    for s in 0..5 {
        for by in ROUNDS[s % 2] {
            x = x.wrapping_add(y);
            y = y.rotate_left(by) ^ x;
        }
        x = x.wrapping_add(keys[(s + 1) % 3]);
        y = y.wrapping_add(keys[(s + 2) % 3]).wrapping_add(s as u32 + 1);
    }
    [x, y]
}

/// Which elements a layer drops in one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    pub key: [u32; 2],
    pub batch: u32,
    /// Words below it drop their element.
    pub threshold: u32,
}

impl Mask {
    /// A layer's key.
    pub fn key(seed: u64, layer: usize) -> [u32; 2] {
        threefry([seed as u32, (seed >> 32) as u32], [layer as u32, 0])
    }

    /// A word is below it with probability p.
    pub fn threshold(p: f64) -> u32 {
        // As a cast saturates, never more than all.
        (p * 4_294_967_296.0).round() as u32
    }

    #[inline(always)]
    pub fn keeps(&self, element: usize) -> bool {
        threefry(self.key, [element as u32, self.batch])[0] >= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123 1.14 for threefry2x32 with 20 rounds.
    #[test]
    fn words_are_those_of_random123() {
        let known = [
            ([0, 0], [0, 0], [0x6b20_0159, 0x99ba_4efe]),
            ([!0, !0], [!0, !0], [0x1cb9_96fc, 0xbb00_2be7]),
            (
                [0x1319_8a2e, 0x0370_7344],
                [0x243f_6a88, 0x85a3_08d3],
                [0xc492_3a9c, 0x483d_f7a0],
            ),
        ];
        for (key, counter, words) in known {
            assert_eq!(threefry(key, counter), words);
        }
    }

    /// How many of `n` are kept, and how far that is from what is expected, in standard deviations.
    fn deviations(kept: usize, n: usize, p: f64) -> f64 {
        let n = n as f64;
        (kept as f64 - n * (1.0 - p)).abs() / (n * p * (1.0 - p)).sqrt()
    }

    /// A binomial share is beyond 5 standard deviations once in 1.7 million; the draws are fixed, so this passes always or never.
    #[test]
    fn the_share_of_dropped_elements_is_p_and_neighbours_are_independent() {
        let n = 200_000;
        for (seed, layer, p) in [
            (0, 0, 0.5),
            (7, 1, 0.1),
            (u64::MAX, 2, 0.9),
            (1 << 40, 3, 0.25),
        ] {
            let mask = Mask {
                key: Mask::key(seed, layer),
                batch: 3,
                threshold: Mask::threshold(p),
            };
            let count = |f: &dyn Fn(usize) -> bool| (0..n).filter(|&e| f(e)).count();
            assert!(deviations(count(&|e| mask.keeps(e)), n, p) < 5.0);
            // Two are both kept with probability (1 − p)²: neighbours, elements a row of 512 apart, the same element in the next
            // batch, in the next layer, and with the next seed.
            let later = Mask { batch: 4, ..mask };
            let deeper = Mask {
                key: Mask::key(seed, layer + 1),
                ..mask
            };
            let other = Mask {
                key: Mask::key(seed.wrapping_add(1), layer),
                ..mask
            };
            let both: [&dyn Fn(usize) -> bool; 5] = [
                &|e| mask.keeps(e) && mask.keeps(e + 1),
                &|e| mask.keeps(e) && mask.keeps(e + 512),
                &|e| mask.keeps(e) && later.keeps(e),
                &|e| mask.keeps(e) && deeper.keeps(e),
                &|e| mask.keeps(e) && other.keeps(e),
            ];
            let p_both = 1.0 - (1.0 - p) * (1.0 - p);
            for f in both {
                // Pairs overlap, which at most doubles the variance.
                assert!(deviations(count(f), n, p_both) < 5.0 * 2f64.sqrt());
            }
        }
    }

    #[test]
    fn a_probability_near_1_still_keeps_something() {
        assert_eq!(Mask::threshold(0.0), 0);
        assert_eq!(Mask::threshold(0.5), 1 << 31);
        assert_eq!(Mask::threshold(1.0 - 1e-12), u32::MAX);
    }
}
