// Texts of scenarios for the tests of the format, and the words that refuse them.

import Diagnostics
import Model

@testable import Scenario

/// The keys are written in this order, so the head begins at line 1 and the workload is the first line behind it.
func scenarioText(
    _ head: String = "", workload: String = "executions: 2000, blocks: 10", configurations: String = "[{ mode: row }]"
) -> String {
    (head.isEmpty ? "" : head + "\n") + "workload: { \(workload) }\nconfigurations: \(configurations)\n"
}

/// The faults of a scenario, or "accepted".
func refusal(of text: String, files: [String: String] = [:]) -> String {
    do throws(InputError) {
        _ = try ScenarioFile.parse(text: text, path: "s.yaml", files: files)
        return "accepted"
    } catch {
        return error.description
    }
}

func parsed(_ text: String, files: [String: String] = [:]) throws -> ScenarioFile {
    try ScenarioFile.parse(text: text, path: "s.yaml", files: files)
}

func names(_ configurations: String, workload: String = "executions: 2000, blocks: 10") throws -> [String] {
    try parsed(scenarioText(workload: workload, configurations: configurations)).competitors.map(\.name)
}
