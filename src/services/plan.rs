//! What a producer invents: the original's ranges, drawn from a generator with a seed. The same seed gives the same
//! tasks, uuids included.

use crate::fractal::{Formula, Invalid, Palette, Scene, Viewport, julia_constant};
use crate::task::Task;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use uuid::Uuid;

/// Two bounds, inclusive, in any order: the original's own defaults count `--min-xa -1 --max-xa -4`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range<T>(pub T, pub T);

impl<T: PartialOrd + Copy> Range<T> {
    fn low(self) -> T {
        if self.0 <= self.1 { self.0 } else { self.1 }
    }

    fn high(self) -> T {
        if self.0 <= self.1 { self.1 } else { self.0 }
    }
}

impl Range<u32> {
    fn draw(self, random: &mut impl Rng) -> u32 {
        random.random_range(self.low()..=self.high())
    }
}

impl Range<f64> {
    fn draw(self, random: &mut impl Rng) -> f64 {
        self.low() + (self.high() - self.low()) * random.random::<f64>()
    }
}

/// Which formulas are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Formulas {
    /// Julia sets only, as in 2015.
    Julia,
    /// The Mandelbrot set only.
    Mandelbrot,
    /// Either, by chance.
    #[default]
    Both,
}

/// The producer's settings, under the names of its flags.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Julia, Mandelbrot or both.
    pub formulas: Formulas,
    /// Pixels.
    pub width: Range<u32>,
    /// Pixels.
    pub height: Range<u32>,
    /// Iteration limits.
    pub iterations: Range<u32>,
    /// Left bounds.
    pub xa: Range<f64>,
    /// Right bounds.
    pub xb: Range<f64>,
    /// Bounds of the first row.
    pub ya: Range<f64>,
    /// Bounds of the last row.
    pub yb: Range<f64>,
    /// Seconds between two batches.
    pub pause: Range<f64>,
    /// Tasks in a batch.
    pub tasks: Range<u32>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            formulas: Formulas::Both,
            width: Range(256, 1024),
            height: Range(256, 1024),
            iterations: Range(128, 512),
            xa: Range(-1.0, -4.0),
            xb: Range(1.0, 4.0),
            ya: Range(-0.5, -3.0),
            yb: Range(0.5, 3.0),
            pause: Range(1.0, 10.0),
            tasks: Range(1, 10),
        }
    }
}

/// How many windows are drawn until one holds a Julia constant. With the default ranges the first does.
const WINDOWS: u32 = 100;

impl Plan {
    /// Finds out before the first task whether these ranges can give one at all.
    pub fn check(&self) -> Result<(), Invalid> {
        for (name, a, b) in [("xa", self.xa, self.xb), ("ya", self.ya, self.yb)] {
            if [a.0, a.1, b.0, b.1].iter().any(|bound| !bound.is_finite()) {
                return Err(Invalid::new(format!("the ranges of {name} and its opposite bound must be finite")));
            }
        }
        if !(0.0..=1e6).contains(&self.pause.low()) || !(0.0..=1e6).contains(&self.pause.high()) {
            return Err(Invalid::new("a pause is a number of seconds from 0 to 1000000"));
        }
        if self.tasks.high() == 0 {
            return Err(Invalid::new("--max-tasks is 0: there would never be a task"));
        }
        self.task(&mut ChaCha8Rng::seed_from_u64(0)).map(drop)
    }

    /// The next task. Numbers are drawn in the original's order: width, height, iterations, xa, xb, ya, yb, then c.
    pub fn task(&self, random: &mut ChaCha8Rng) -> Result<Task, Invalid> {
        let mut last = None;
        for _ in 0..WINDOWS {
            match self.scene(random) {
                Ok(scene) => return Ok(Task { uuid: uuid(random), name: None, scene }),
                Err(reason) => last = Some(reason),
            }
        }
        Err(last.expect("at least one window was tried"))
    }

    fn scene(&self, random: &mut ChaCha8Rng) -> Result<Scene, Invalid> {
        let (width, height) = (self.width.draw(random), self.height.draw(random));
        let iterations = self.iterations.draw(random);
        let bounds = [self.xa, self.xb, self.ya, self.yb].map(|range| range.draw(random));
        let viewport = Viewport::new(width, height, bounds)?;
        let julia = match self.formulas {
            Formulas::Julia => true,
            Formulas::Mandelbrot => false,
            Formulas::Both => random.random(),
        };
        let formula = match julia {
            true => Formula::Julia { c: julia_constant(&viewport, iterations, || random.random())? },
            false => Formula::Mandelbrot,
        };
        Scene::new(formula, viewport, iterations, Palette::Classic)
    }

    /// How many tasks the next batch has.
    pub fn batch(&self, random: &mut ChaCha8Rng) -> u32 {
        self.tasks.draw(random)
    }

    /// How long to sleep after a batch.
    pub fn nap(&self, random: &mut ChaCha8Rng) -> Duration {
        Duration::from_secs_f64(self.pause.draw(random))
    }
}

/// A random uuid (version 4) from the plan's own numbers, so that a seed gives the same ones again.
fn uuid(random: &mut ChaCha8Rng) -> Uuid {
    uuid::Builder::from_random_bytes(random.random()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(plan: &Plan, seed: u64) -> Vec<Task> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..20).map(|_| plan.task(&mut random).unwrap()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_tasks() {
        let plan = Plan::default();
        assert_eq!(tasks(&plan, 7), tasks(&plan, 7));
        assert_ne!(tasks(&plan, 7), tasks(&plan, 8));
    }

    #[test]
    fn tasks_stay_in_the_originals_ranges() {
        for task in tasks(&Plan::default(), 1) {
            let (view, limit) = (task.scene.viewport(), task.scene.iterations());
            let [xa, xb, ya, yb] = view.bounds();
            assert!((256..=1024).contains(&view.width()) && (256..=1024).contains(&view.height()));
            assert!((128..=512).contains(&limit));
            assert!((-4.0..=-1.0).contains(&xa) && (1.0..=4.0).contains(&xb));
            assert!((-3.0..=-0.5).contains(&ya) && (0.5..=3.0).contains(&yb));
        }
    }

    #[test]
    fn a_plan_that_can_never_give_a_task_is_refused_before_it_starts() {
        let far = Plan { xa: Range(50.0, 51.0), xb: Range(52.0, 53.0), formulas: Formulas::Julia, ..Plan::default() };
        assert!(far.check().is_err());
        assert!(Plan { iterations: Range(5, 11), formulas: Formulas::Julia, ..Plan::default() }.check().is_err());
        assert!(Plan { width: Range(0, 0), ..Plan::default() }.check().is_err());
        assert!(Plan { yb: Range(f64::NAN, 1.0), ..Plan::default() }.check().is_err());
        assert!(Plan { pause: Range(-1.0, 1.0), ..Plan::default() }.check().is_err());
    }
}
