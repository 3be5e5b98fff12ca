// The data dictionary of a result folder: what wiki/Results.md holds between its marks, and a test compares.

import Measurement

public enum DataDictionary {
    /// Every CSV file with its columns and what they mean, and the words of latency.csv, as Markdown.
    public static var markdown: String {
        var text = section("runs.csv", "one row a run", RunRow.columns.map { ($0.name, $0.meaning) })
        text += section(
            "comparisons.csv", "one row for each configuration and metric, against the baseline",
            ComparisonRow.columns.map { ($0.name, $0.meaning) })
        for table in ResultTable.allCases { text += section(table.rawValue, table.summary, table.columns) }
        text += "### Stages of latency.csv and histograms.hlog\n\n| stage | counts | meaning |\n| --- | --- | --- |\n"
        for stage in LatencyStage.allCases {
            text += "| `\(stage.rawValue)` | \(stage.unit.rawValue) | \(stage.meaning) |\n"
        }
        return text
    }

    private static func section(_ file: String, _ summary: String, _ columns: [(String, String)]) -> String {
        let rows = columns.map { "| `\($0.0)` | \($0.1) |\n" }.joined()
        return "### \(file)\n\n\(summary)\n\n| column | meaning |\n| --- | --- |\n\(rows)\n"
    }
}
