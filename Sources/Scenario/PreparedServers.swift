// The servers that a scenario asks for beside the primary: standbys, for as long as the run lasts.

import Diagnostics
import Services

struct PreparedServers {
    private let services: EmbeddedServices?

    /// Makes the standbys stream, and commits wait for any one of them. Blocks.
    /// - Throws: where the servers are the user's own, whose standbys aren't ours to make.
    init(_ servers: ScenarioFile.Servers, target: Target, say: (String) -> Void) throws {
        guard servers.standbys > 0 else {
            services = nil
            return
        }
        guard let services = target.services else {
            throw OperatingError(
                "the scenario asks for \(servers.standbys) standbys, which only embedded services can make",
                remedy: "leave servers out, and set up the standbys of your own database yourself")
        }
        try services.ensureStandbys(count: servers.standbys)
        do {
            try services.setQuorumCommit(true)
        } catch {
            try? services.removeStandbys()
            throw error
        }
        self.services = services
        say("\(servers.standbys) standbys stream; a commit waits for any one of them where synchronous_commit says so")
    }

    /// Commits wait for nobody afterwards.
    func restore() {
        try? services?.setQuorumCommit(false)
        try? services?.removeStandbys()
    }
}
