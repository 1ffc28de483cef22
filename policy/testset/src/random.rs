//! Numbers from a seed, the same on every machine (`SplitMix64`).

#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From the first to the last, both with them.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.draw() % (last.saturating_sub(first) + 1)
    }

    /// One of some; `None` of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
        from.get(usize::try_from(self.draw() % count).ok()?)
    }

    /// So many characters of an alphabet of ASCII.
    pub fn text(&mut self, alphabet: &[u8], count: usize) -> String {
        let picked = (0..count).filter_map(|_| self.pick(alphabet).copied());
        picked.map(char::from).collect()
    }
}
