// Where other people's programs are, and what may be wrong with what they did.

import Diagnostics
import Postgres
import Scenario

enum PeerFault {
    static let notPrepared = OperatingError("the pair wasn't prepared")
}

enum PeerPrograms {
    /// A program of PostgreSQL's by its own path: Debian's in PATH are a script that seeks the version first, which would be
    /// measured as the peer's.
    static func postgres(_ name: String, _ bench: PeerBench) throws -> String {
        let folder = try bench.withConnection {
            try $0.query("SELECT setting FROM pg_config WHERE name = 'BINDIR'").text(0, 0)
        }
        let path = "\(folder ?? "")/\(name)"
        return bench.surroundings.hasProgram(path) ? path : name
    }
}
