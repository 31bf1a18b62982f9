//! Chance of the simulations: equal seeds give equal runs on every platform.

/// SplitMix64.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// From `least` to `most`.
    pub(super) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// The same for small numbers.
    pub(super) fn few(&mut self, least: u32, most: u32) -> u32 {
        u32::try_from(self.within(least.into(), most.into())).unwrap_or(most)
    }

    /// Once in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap_or(0)]
    }

    /// A share from 0 to `most` thousandths.
    pub(super) fn share(&mut self, most: u32) -> f64 {
        f64::from(u32::try_from(self.below(u64::from(most) * 100 + 1)).unwrap_or(0)) / 100_000.0
    }
}
