// What the program is called by its results.

/// This program.
public enum AllocBench {
    public static let version = "0.1.0"
}
