//! Many orbits in a pool, carried on pass by pass: those that end leave it, the others move together, new ones come.
//!
//! In a pass all orbits do so many steps, a few registers full at a time. Every few steps those that are inside are
//! tested, and their state is kept; the exact end of an orbit that left is found from there (`replay.rs`). No branch
//! depends on which orbit ends when, for which processors punish more than for a few steps too many.
//!
//! *Why a test after some steps misses nothing.* With R² = bailout ≥ 4 and |c|² ≤ [`TAME`]: once |z| > R, the next
//! |z²+c| ≥ R² − |c| ≥ 2R − 1.975 ≥ R + 0.025, and so for ever; rounding moves each side by less than 10⁻¹⁴ of itself. So
//! an orbit that has left never comes back, until it overflows: infinity gives infinity or no number, no number gives
//! no number, and neither is "at most" the bailout. That is how the test is put. Larger |c| never come here.

use super::cycles::Cycles;
use super::mirror::Mirrored;
use super::points::{Points, STEP};
use super::replay::{self, Queue};
use super::sweep::{self, Sweep};
use super::vector::{Vector, first, step};
use super::{Block, Ends};

/// Steps without a test: fewer test more often, more replay longer.
pub const STEPS: u32 = 12;

/// The most |c|² for which an orbit that has left stays outside.
pub const TAME: f64 = 3.9;

/// The largest bailout for which the square of what is inside cannot overflow.
const LARGEST_BAILOUT: f64 = 1e100;

/// How many orbits the pool is filled up to.
pub const FULL: usize = 512;

/// And a chunk more, and what a vector may store behind the last.
pub const ROOM: usize = FULL + 136;

type Pool = Points<ROOM>;

/// Whether the fast kernel may compute this block. Very short orbits are not worth its trouble, and tags hold 32 bits.
pub fn is_for(block: &Block) -> bool {
    let points = block.xs.len() as u64 * block.ys.len() as u64;
    points <= u32::MAX.into() && block.limit > sweep::STEPS + 1 && block.bailout <= LARGEST_BAILOUT
}

/// Finds the ends. `S` vectors are swept at a time, `G` carried on together: as many chains as hide the latency of a
/// step, as long as the registers hold them.
#[inline(always)]
pub fn escapes<V: Vector, const S: usize, const G: usize>(mirrored: &Mirrored, ends: &mut Ends) {
    let block = &mirrored.block;
    let mut sweep = Sweep::new(mirrored);
    let (mut pool, mut queue) = (Pool::new(block.formula.c()), Queue::new(block.formula.c()));
    let mut cycles = Cycles::new(block.shortcuts, block.limit);
    let group = V::LANES * G;
    let mut tests = TESTS;
    loop {
        let old = pool.len;
        while pool.len < FULL && !sweep.is_done() {
            sweep.chunk::<V, S, ROOM>(&mut pool, ends);
        }
        cycles.forget(old..pool.len);
        let groups = if sweep.is_done() { pool.len.div_ceil(group) } else { pool.len / group };
        if groups == 0 {
            break;
        }
        let (before, waiting) = (pool.len, queue.len);
        pass::<V, G>(block, &mut pool, &mut queue, &mut cycles, groups * group, tests, ends);
        tests = next_length(tests, before, queue.len - waiting);
        replay::replay::<V, G>(block, &mut queue, ends, group);
    }
    replay::replay::<V, G>(block, &mut queue, ends, 1);
}

/// Tests of the first pass, and the fewest and the most of any.
const TESTS: u32 = 5;
const LEAST: u32 = 2;
const MOST: u32 = 16;

/// What a pass costs beside its steps, in steps.
const COST: f64 = 12.0;

/// How long a pass should be, when of so many orbits so many ended in one of this length. What ends does so in the
/// middle of a pass, on average, so that a length S wastes h·S/2 of each step, with h the part of the orbits
/// that end in a step, and COST/S: least for S² = 2·COST/h.
fn next_length(tests: u32, orbits: usize, ended: usize) -> u32 {
    let steps = f64::from(tests * STEPS);
    let best = (2.0 * COST * steps * orbits as f64 / ended.max(1) as f64).sqrt();
    ((best / f64::from(STEPS)).round() as u32).clamp(LEAST, MOST)
}

/// Carries the first orbits on by `tests` times [`STEPS`] steps.
#[inline(always)]
fn pass<V: Vector, const G: usize>(
    block: &Block,
    pool: &mut Pool,
    queue: &mut Queue,
    cycles: &mut Cycles,
    until: usize,
    tests: u32,
    ends: &mut Ends,
) {
    let (all, saves) = (pool.len, cycles.looking && cycles.saves());
    pool.len = 0;
    for at in (0..until).step_by(V::LANES * G) {
        // Never more, but so the compiler sees it.
        let at = at.min(ROOM - G * V::LANES);
        let place = |i: usize| at + i * V::LANES;
        let inside = carry::<V, G>(block, pool, at, tests);
        let (valid, lanes) = (first(all - at), first(V::LANES));
        let mut stay = [0; G];
        for (i, stay) in stay.iter_mut().enumerate() {
            let valid = (valid >> (i * V::LANES)) & lanes;
            *stay = inside[i] & V::bits(pool.tag.load::<V>(place(i)).is_negative()) & valid;
            queue.add(valid & !*stay, pool.load::<V>(place(i)));
        }
        if cycles.looking {
            let mut to = pool.len;
            for (i, stay) in stay.iter_mut().enumerate() {
                let closed = *stay & cycles.are_closed::<V>(place(i), pool.x.load(place(i)), pool.y.load(place(i)));
                *stay ^= closed;
                pool.end(place(i), closed, block.limit, ends);
                if saves {
                    cycles.save::<V>(to, *stay, pool.x.load(place(i)), pool.y.load(place(i)));
                } else {
                    cycles.keep::<V>(place(i), to, *stay);
                }
                to += stay.count_ones() as usize;
            }
        }
        for (i, &stay) in stay.iter().enumerate() {
            pool.add(stay, pool.load::<V>(place(i)));
        }
    }
    for at in (until..all).step_by(V::LANES) {
        let (orbits, here) = (pool.load::<V>(at), first((all - at).min(V::LANES)));
        if cycles.looking {
            cycles.keep::<V>(at, pool.len, here);
        }
        pool.add(here, orbits);
    }
}

/// Carries a group on and returns which lanes are inside. Orbits that are outside keep, in the pool, the state they had
/// when they were last found inside.
#[inline(always)]
fn carry<V: Vector, const G: usize>(block: &Block, pool: &mut Pool, at: usize, tests: u32) -> [u64; G] {
    let place = |i: usize| at + i * V::LANES;
    let mut x: [V; G] = std::array::from_fn(|i| pool.x.load(place(i)));
    let mut y: [V; G] = std::array::from_fn(|i| pool.y.load(place(i)));
    let cx: [V; G] = std::array::from_fn(|i| pool.cx.load(place(i)));
    let cy: [V; G] = std::array::from_fn(|i| pool.cy.load(place(i)));
    let bailout = V::splat(block.bailout);
    let mut inside = [bailout.equals(bailout); G];
    for _ in 0..tests {
        for _ in 0..STEPS {
            for i in 0..G {
                (x[i], y[i]) = step(x[i], y[i], cx[i], cy[i]);
            }
        }
        for i in 0..G {
            inside[i] = x[i].mul(x[i]).add(y[i].mul(y[i])).at_most(bailout);
            pool.x.store_where(place(i), inside[i], x[i]);
            pool.y.store_where(place(i), inside[i], y[i]);
            let tag: V = pool.tag.load(place(i));
            pool.tag.store(place(i), tag.count(inside[i], u64::from(STEPS) * STEP));
        }
    }
    let mut bits = [0; G];
    for i in 0..G {
        bits[i] = V::bits(inside[i]);
    }
    bits
}
