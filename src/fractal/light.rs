//! sRGB and light (IEC 61966-2-1): the numbers of a picture are not proportional to light, so means must not be taken
//! of them. Light is a whole number up to 65 535 here, so that sums are exact on every machine.

use std::sync::LazyLock;

/// The brightest light.
const WHITE: f64 = 65_535.0;

struct Tables {
    linear: [u32; 256],
    encode: Vec<u8>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let linear = std::array::from_fn(|value| (decode(value as f64 / 255.0) * WHITE).round() as u32);
    // The nearest value: the one whose light, or half of the way to the next, is not passed yet.
    let nearest = |light: u32| linear.windows(2).take_while(|pair| pair[0] + pair[1] <= 2 * light).count() as u8;
    Tables { linear, encode: (0..=WHITE as u32).map(nearest).collect() }
});

fn decode(value: f64) -> f64 {
    if value <= 0.04045 { value / 12.92 } else { libm::pow((value + 0.055) / 1.055, 2.4) }
}

/// The light of an 8-bit value.
#[inline]
pub fn linear(value: u8) -> u32 {
    TABLES.linear[usize::from(value)]
}

/// The 8-bit value nearest to this light, which is at most 65 535.
#[inline]
pub fn encode(light: u32) -> u8 {
    TABLES.encode[light as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back() {
        for value in 0..=255 {
            assert_eq!(encode(linear(value)), value);
        }
    }

    #[test]
    fn half_the_light_is_not_half_the_number() {
        assert_eq!(encode((linear(0) + linear(255)) / 2), 188);
    }
}
