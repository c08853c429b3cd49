//! The exact end of orbits that left during a block of untested steps.

use super::points::Points;
use super::refill::{STEPS, step};
use super::vector::Vector;
use super::{Block, Escape};

/// Orbits that left wait here with the state they had before the block in which they left.
pub type Queue = Points<QUEUE>;

/// A power of two: what waits, and all lanes of a group.
pub const QUEUE: usize = 128;

/// How many are replayed together.
pub const TOGETHER: usize = 32;

/// Replays the first orbits of the queue, with the test after each step, and moves the others to the front.
#[inline(always)]
pub fn replay<V: Vector>(block: &Block, queue: &mut Queue, ends: &mut [Escape]) {
    for at in (0..TOGETHER).step_by(V::LANES * V::GROUP.min(4)) {
        vectors::<V>(block, queue, at);
    }
    for i in 0..queue.len.min(TOGETHER) {
        let steps = queue.steps.0[i] as u32;
        let end = if steps < block.limit {
            Escape { steps, norm: queue.x.0[i] }
        } else {
            Escape { steps: block.limit, norm: 0.0 }
        };
        ends[queue.index.0[i] as usize] = end;
    }
    let len = queue.len.saturating_sub(TOGETHER);
    for column in [&mut queue.x, &mut queue.y, &mut queue.cx, &mut queue.cy, &mut queue.index, &mut queue.steps] {
        column.0.copy_within(TOGETHER..TOGETHER + len, 0);
    }
    queue.len = len;
}

/// Replays a few vectors side by side; the counts go to `steps`, the norms to `x`.
///
/// The z that the queue holds are inside. Of those that follow the first outside is looked for; all after it are
/// outside too (see `refill.rs`), so it is enough to count those inside, and to keep the norm that comes last while
/// all before it were inside.
#[inline(always)]
fn vectors<V: Vector>(block: &Block, queue: &mut Queue, at: usize) {
    const MOST: usize = 4;
    let zero = V::splat(0.0);
    let (mut x, mut y, mut cx, mut cy) = ([zero; MOST], [zero; MOST], [zero; MOST], [zero; MOST]);
    let (mut count, mut norm) = ([zero; MOST], [zero; MOST]);
    let vectors = V::GROUP.min(MOST);
    let bailout = V::splat(block.bailout);
    for i in 0..vectors {
        let at = at + i * V::LANES;
        (x[i], y[i], cx[i], cy[i]) = (queue.x.load(at), queue.y.load(at), queue.cx.load(at), queue.cy.load(at));
        count[i] = queue.steps.load(at);
    }
    for _ in 0..STEPS {
        for i in 0..vectors {
            let inside = norm[i].at_most(bailout);
            count[i] = count[i].count(inside);
            (x[i], y[i]) = step(x[i], y[i], cx[i], cy[i]);
            let now = x[i].mul(x[i]).add(y[i].mul(y[i]));
            norm[i] = norm[i].replace(inside, now);
        }
    }
    for i in 0..vectors {
        queue.steps.store(at + i * V::LANES, count[i]);
        queue.x.store(at + i * V::LANES, norm[i]);
    }
}
