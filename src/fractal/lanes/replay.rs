//! The exact end of orbits that left during untested steps.

use super::points::{Points, STEP, steps_and_place};
use super::pool::{FULL, STEPS};
use super::vector::{Vector, step};
use super::{Block, Ends};
use crate::fractal::Escape;

/// Orbits that left wait here with the state in which they were last found inside.
pub type Queue = Points<{ FULL + 248 }>;

/// Replays the first orbits of the queue, with the test after each step, and moves the others to the front.
#[inline(always)]
pub fn replay<V: Vector, const G: usize>(block: &Block, queue: &mut Queue, ends: &mut Ends, least: usize) {
    let (mut done, group) = (0, V::LANES * G);
    while queue.len >= done + least {
        together::<V, G>(block, queue, done);
        for at in done..queue.len.min(done + group) {
            let (steps, place) = steps_and_place(queue.tag.0[at], block.limit);
            ends.set(place, Escape { steps, norm: queue.x.0[at] });
        }
        done += group;
    }
    queue.keep_from(done.min(queue.len));
}

/// Replays a few vectors side by side; the norms go to `x`.
///
/// The z that the queue holds are inside. Of those that follow the first outside is looked for; all after it are
/// outside too (see `pool.rs`), so it is enough to count those inside, and to keep the norm that comes last while
/// all before it were inside.
#[inline(always)]
fn together<V: Vector, const G: usize>(block: &Block, queue: &mut Queue, at: usize) {
    let zero = V::splat(0.0);
    let (mut x, mut y, mut cx, mut cy) = ([zero; G], [zero; G], [zero; G], [zero; G]);
    let (mut tag, mut norm) = ([zero; G], [zero; G]);
    let bailout = V::splat(block.bailout);
    for i in 0..G {
        let at = at + i * V::LANES;
        (x[i], y[i], cx[i], cy[i]) = (queue.x.load(at), queue.y.load(at), queue.cx.load(at), queue.cy.load(at));
        tag[i] = queue.tag.load(at);
    }
    for _ in 0..STEPS {
        for i in 0..G {
            let inside = norm[i].at_most(bailout);
            tag[i] = tag[i].count(inside, STEP);
            (x[i], y[i]) = step(x[i], y[i], cx[i], cy[i]);
            let now = x[i].mul(x[i]).add(y[i].mul(y[i]));
            norm[i] = norm[i].replace(inside, now);
        }
    }
    for i in 0..G {
        queue.tag.store(at + i * V::LANES, tag[i]);
        queue.x.store(at + i * V::LANES, zero.replace(tag[i].is_negative(), norm[i]));
    }
}
