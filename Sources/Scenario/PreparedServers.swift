// The servers that a scenario asks for beside the primary: standbys, for as long as the run lasts.

import Diagnostics
import Services

struct PreparedServers: Sendable {
    private struct Standbys: Sendable {
        let services: EmbeddedServices
        let count: Int
        let waitingFor: SynchronousStandbys
    }

    private let standbys: Standbys?
    private let say: @Sendable (String) -> Void

    /// Makes the standbys stream, and commits wait for those that the scenario says. Blocks.
    /// - Throws: where the servers are the user's own, whose standbys aren't ours to make.
    init(_ servers: ScenarioFile.Servers, target: Target, say: @escaping @Sendable (String) -> Void) throws {
        self.say = say
        guard servers.standbys > 0 else {
            standbys = nil
            return
        }
        guard let services = target.services else {
            throw OperatingError(
                "the scenario asks for standbys (\(servers.standbys)), which only embedded services can make",
                remedy: "leave standbys out, and set up those of your own database yourself")
        }
        let wanted = servers.synchronousStandbys ?? SynchronousStandbys(.any, 1)
        standbys = Standbys(services: services, count: servers.standbys, waitingFor: wanted)
        try start()
        say(
            "\(servers.standbys == 1 ? "1 standby streams" : "\(servers.standbys) standbys stream"); "
                + "a commit waits for \(wanted) of them where synchronous_commit says so")
    }

    private func start() throws {
        guard let standbys else { return }
        try standbys.services.ensureStandbys(count: standbys.count)
        do {
            try standbys.services.setSynchronousStandbys(standbys.waitingFor)
        } catch {
            try? standbys.services.removeStandbys()
            throw error
        }
    }

    /// Who promotes a standby in a cell whose faults ask for it; nil where there is none.
    var takeover: Takeover? { standbys.map { Takeover(services: $0.services, say: say) } }

    /// Before a cell: after a promotion the promoted server's data become those of the primary, and all standbys are made anew,
    /// so that every cell begins with the same servers. Blocks.
    func makeWhole() throws {
        guard let standbys, standbys.services.isPromoted else { return }
        try standbys.services.restorePrimary()
        try start()
        say("the promoted standby's data are the primary's now, and the standbys are made anew")
    }

    /// Commits wait for nobody afterwards, and what a promoted standby has committed is the primary's.
    func restore() {
        guard let standbys else { return }
        if standbys.services.isPromoted {
            do {
                try standbys.services.restorePrimary()
            } catch {
                // To remove the standbys would be to remove the only server that has everything.
                return say("the promoted standby isn't the primary yet: \(error)")
            }
        }
        try? standbys.services.setSynchronousStandbys(nil)
        try? standbys.services.removeStandbys()
    }
}
