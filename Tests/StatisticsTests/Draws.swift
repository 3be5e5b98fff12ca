// Random figures for simulated experiments.

import Foundation
import Measurement

/// Uniform in 0..<1.
func unit(_ random: inout SeededRandom) -> Double { Double(random.next() >> 11) / Double(1 << 53) }

/// Normal with mean 0 and standard deviation 1, by Box and Muller.
func normal(_ random: inout SeededRandom) -> Double {
    (-2 * log(1 - unit(&random))).squareRoot() * cos(2 * Double.pi * unit(&random))
}

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
