//! Many orbits side by side: the lane of an orbit that ends is given to the next one at once.
//!
//! Steps are done in blocks without any test; after a block each lane is tested once. A lane whose orbit has left is
//! replayed from the state before the block (`replay.rs`), with the test after each step: that gives the exact end.
//!
//! *Why a test after the block misses nothing.* With R² = bailout ≥ 4 and |c|² ≤ [`TAME`]: once |z| > R, the next
//! |z²+c| ≥ R² − |c| ≥ 2R − 1.975 ≥ R + 0.025, and so for ever; rounding moves each side by less than 10⁻¹⁴ of itself. So
//! an orbit that has left never comes back, until it overflows: infinity gives infinity or no number, no number gives
//! no number, and neither is "at most" the bailout. That is how the test is put. Larger |c| never come here.
//!
//! *Two groups* of lanes take turns, and what happened in one is looked at only after the block of the other was begun:
//! the processor, which runs hundreds of instructions ahead, has that work to do while it finds out that it had
//! guessed a branch wrongly.

use super::Block;
use super::points::{Column, IDLE};
use super::replay::{self, Queue};
use super::sweep::{self, Pending, Sweep};
use super::vector::Vector;
use crate::fractal::{Escape, Formula};

/// Steps in a block: fewer test more often, more replay longer.
pub const STEPS: u32 = 16;

/// The most |c|² for which an orbit that has left stays outside.
pub const TAME: f64 = 3.9;

/// The largest bailout for which the square of what is inside cannot overflow.
const LARGEST_BAILOUT: f64 = 1e100;

/// A group looks for cycles after this many blocks.
const LOOK: u32 = 4;

const LANES: usize = 64;

/// Whether the fast kernel may compute this block. Very short orbits are not worth its trouble.
pub fn is_for(block: &Block) -> bool {
    block.limit > sweep::STEPS + 1 && block.bailout <= LARGEST_BAILOUT
}

/// One step: seven operations, each rounded by itself. (x + x)·y is the original's x·y + y·x: doubling never rounds.
#[inline(always)]
pub fn step<V: Vector>(x: V, y: V, cx: V, cy: V) -> (V, V) {
    (x.mul(x).sub(y.mul(y)).add(cx), x.add(x).mul(y).add(cy))
}

/// Fills `ends`, row by row.
#[inline(always)]
pub fn escapes<V: Vector>(block: &Block, ends: &mut [Escape]) {
    let mut source = Source { sweep: Sweep::new(*block), pending: Pending::new(), taken: 0, is_idle: false };
    let mut queue = Queue::new();
    let mut groups = [Group::new(), Group::new()];
    let blocks = f64::from((block.limit - 1 - sweep::STEPS).div_ceil(STEPS));
    for group in &mut groups {
        // At first all lanes are idle, and to be given away.
        group.gone = lanes::<V>();
    }
    loop {
        for group in &mut groups {
            if group.gone != 0 {
                source.top_up::<V>(ends);
                group.settle(block, &source, &mut queue, ends);
                group.refill::<V>(block, &mut source);
                // The youngest stay in the queue: a vector load right behind the stores of its parts would wait for them.
                while queue.len >= 2 * replay::TOGETHER {
                    replay::replay::<V>(block, &mut queue, ends);
                }
            }
            if group.busy > 0 {
                group.run::<V>(block.bailout, blocks);
            }
        }
        if groups[0].busy + groups[1].busy == 0 {
            break;
        }
    }
    while queue.len > 0 {
        replay::replay::<V>(block, &mut queue, ends);
    }
}

#[inline(always)]
fn lanes<V: Vector>() -> u64 {
    !0 >> (64 - V::LANES * V::GROUP)
}

/// Where new orbits come from.
struct Source<'a> {
    sweep: Sweep<'a>,
    pending: Pending,
    taken: usize,
    /// Nothing but idle lanes from here on.
    is_idle: bool,
}

impl Source<'_> {
    /// How many orbits can be taken; behind them idle lanes, when there are no more.
    #[inline(always)]
    fn left(&self) -> usize {
        self.pending.len.saturating_sub(self.taken)
    }

    /// Sees to it that all lanes of a group can be filled: with orbits, or idle if there are no more.
    #[inline(always)]
    fn top_up<V: Vector>(&mut self, ends: &mut [Escape]) {
        if self.is_idle {
            self.taken = 0;
        }
        if self.is_idle || self.left() >= LANES + V::LANES {
            return;
        }
        let Pending { x, y, cx, cy, index, len, .. } = &mut self.pending;
        let rest = self.taken..(*len).max(self.taken);
        *len = rest.len();
        for column in [x, y, cx, cy, index] {
            column.0.copy_within(rest.clone(), 0);
        }
        self.taken = 0;
        while self.pending.len < 256 && !self.sweep.is_done() {
            self.sweep.chunk::<V>(&mut self.pending, ends);
        }
        if self.sweep.is_done() {
            let len = self.pending.len;
            for column in [&mut self.pending.x, &mut self.pending.y, &mut self.pending.cx, &mut self.pending.cy] {
                column.0[len..].fill(0.0);
            }
            self.pending.index.0[len..].fill(IDLE);
            self.is_idle = len == 0;
        }
    }
}

/// Lanes that do their blocks together.
struct Group {
    x: Column<LANES>,
    y: Column<LANES>,
    cx: Column<LANES>,
    cy: Column<LANES>,
    index: Column<LANES>,
    /// The block with which the orbit began.
    start: Column<LANES>,
    /// The state before the last block.
    before: (Column<LANES>, Column<LANES>),
    /// The state that is looked for, and the block after which it is replaced.
    saved: (Column<LANES>, Column<LANES>),
    replaced: Column<LANES>,
    /// How many blocks were done.
    now: u32,
    /// Which lanes left, and which are to be given away: those that left, or reached the limit, or are in a cycle.
    left: u64,
    gone: u64,
    /// How many lanes have an orbit.
    busy: usize,
}

impl Group {
    fn new() -> Group {
        let zero = Column::new(0.0);
        let (index, replaced) = (Column::new(IDLE), zero);
        let (before, saved) = ((zero, zero), (zero, zero));
        let (x, y, cx, cy, start) = (zero, zero, zero, zero, zero);
        Group { x, y, cx, cy, index, start, before, saved, replaced, now: 0, left: 0, gone: 0, busy: 0 }
    }

    /// A block of steps, then the test.
    #[inline(always)]
    fn run<V: Vector>(&mut self, bailout: f64, blocks: f64) {
        const MOST: usize = 8;
        let zero = V::splat(0.0);
        let (mut x, mut y, mut cx, mut cy) = ([zero; MOST], [zero; MOST], [zero; MOST], [zero; MOST]);
        for i in 0..V::GROUP {
            let at = i * V::LANES;
            (x[i], y[i], cx[i], cy[i]) = (self.x.load(at), self.y.load(at), self.cx.load(at), self.cy.load(at));
            self.before.0.store(at, x[i]);
            self.before.1.store(at, y[i]);
        }
        for _ in 0..STEPS {
            for i in 0..V::GROUP {
                (x[i], y[i]) = step(x[i], y[i], cx[i], cy[i]);
            }
        }
        self.now += 1;
        let (bailout, due) = (V::splat(bailout), V::splat(f64::from(self.now) - blocks));
        (self.left, self.gone) = (0, 0);
        for i in 0..V::GROUP {
            let at = i * V::LANES;
            self.x.store(at, x[i]);
            self.y.store(at, y[i]);
            let inside = x[i].mul(x[i]).add(y[i].mul(y[i])).at_most(bailout);
            self.left |= V::bits(inside) << at;
            self.gone |= V::bits(self.start.load::<V>(at).at_most(due)) << at;
        }
        self.left ^= lanes::<V>();
        self.gone |= self.left;
        if self.now.is_multiple_of(LOOK) {
            self.look_for_cycles::<V>();
        }
    }

    /// A z that equals an earlier one of its orbit, to the last bit, repeats for ever and never escapes. This is
    /// Brent's way of finding cycles: compare with a z that is replaced when the orbit has become twice as old.
    #[inline(always)]
    fn look_for_cycles<V: Vector>(&mut self) {
        let now = V::splat(f64::from(self.now));
        for i in 0..V::GROUP {
            let at = i * V::LANES;
            let (x, y) = (self.x.load::<V>(at), self.y.load::<V>(at));
            let (saved_x, saved_y) = (self.saved.0.load::<V>(at), self.saved.1.load::<V>(at));
            let same = V::and(x.equals(saved_x), y.equals(saved_y));
            self.gone |= V::bits(same) << at;
            let replaced = self.replaced.load::<V>(at);
            let due = replaced.at_most(now);
            let next = now.add(now.sub(self.start.load(at)));
            self.saved.0.store(at, saved_x.replace(due, x));
            self.saved.1.store(at, saved_y.replace(due, y));
            self.replaced.store(at, replaced.replace(due, next));
        }
    }

    /// Ends the orbits of the lanes that are given away, and gives the lanes, except for z and c, to the next ones.
    #[inline(always)]
    fn settle(&mut self, block: &Block, source: &Source, queue: &mut Queue, ends: &mut [Escape]) {
        let (now, mut from, mut gone) = (f64::from(self.now), source.taken, self.gone);
        while gone != 0 {
            let lane = gone.trailing_zeros() as usize;
            gone &= gone - 1;
            self.end(lane, block, queue, ends);
            (self.index.0[lane], self.start.0[lane]) = (source.pending.index.0[from & (sweep::PENDING - 1)], now);
            // No number equals nothing, so that the state of the orbit before is not taken for this one's.
            (self.saved.0.0[lane], self.replaced.0[lane]) = (f64::NAN, now);
            from += 1;
        }
    }

    /// Ends one orbit: those that left are queued for replay, all others never will.
    #[inline(always)]
    fn end(&mut self, lane: usize, block: &Block, queue: &mut Queue, ends: &mut [Escape]) {
        let index = self.index.0[lane];
        if index == IDLE {
            return;
        }
        self.busy -= 1;
        if self.left >> lane & 1 == 0 {
            ends[index as usize] = Escape { steps: block.limit, norm: 0.0 };
            return;
        }
        let to = queue.len & (replay::QUEUE - 1);
        (queue.x.0[to], queue.y.0[to]) = (self.before.0.0[lane], self.before.1.0[lane]);
        (queue.cx.0[to], queue.cy.0[to]) = (self.cx.0[lane], self.cy.0[lane]);
        let blocks = f64::from(self.now - 1) - self.start.0[lane];
        queue.steps.0[to] = blocks * f64::from(STEPS) + f64::from(sweep::STEPS);
        queue.index.0[to] = index;
        queue.len += 1;
    }

    /// Gives the lanes z and c of the next orbits: vector by vector, because they are loaded as vectors at once. That
    /// most vectors have no free lane is no reason to ask, which would be guessed wrongly too often.
    #[inline(always)]
    fn refill<V: Vector>(&mut self, block: &Block, source: &mut Source) {
        self.busy += source.left().min(self.gone.count_ones() as usize);
        for i in 0..V::GROUP {
            let (at, from, pending) = (i * V::LANES, source.taken & (sweep::PENDING - 1), &source.pending);
            let free = self.gone >> at & (!0 >> (64 - V::LANES));
            self.x.store(at, self.x.load::<V>(at).expand(free, pending.x.load(from)));
            self.y.store(at, self.y.load::<V>(at).expand(free, pending.y.load(from)));
            if block.formula == Formula::Mandelbrot || self.now == 0 {
                self.cx.store(at, self.cx.load::<V>(at).expand(free, pending.cx.load(from)));
                self.cy.store(at, self.cy.load::<V>(at).expand(free, pending.cy.load(from)));
            }
            source.taken += free.count_ones() as usize;
        }
        self.gone = 0;
    }
}
