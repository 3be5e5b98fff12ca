// What competes in a scenario, of whichever stage: the runner orders them and the results name them alike.

/// One configuration with the stage that it belongs to.
public enum Competitor: Sendable, Hashable {
    case allocate(Configuration)
    case route(RoutingConfiguration)
    case execute(ExecuteConfiguration)

    /// Unique within a scenario.
    public var name: String {
        switch self {
        case .allocate(let configuration): configuration.name
        case .route(let configuration): configuration.name
        case .execute(let configuration): configuration.name
        }
    }
}
