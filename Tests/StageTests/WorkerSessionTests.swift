// The sessions of workers, as the server has them.

import Model
import Postgres
import TestSupport
import Testing

@testable import Allocations

@Suite struct WorkerSessionTests {
    /// Of an array in a parameter PostgreSQL expects ten elements; of a given one it sees that there is one, finds a plan for that
    /// cheaper, and so would plan every small transaction anew.
    @Test(arguments: Mode.allCases)
    func `a worker's session has one plan for each statement, and reads no table whole`(_ mode: Mode) throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            try AllocationsSchema.create(on: connection)
            let store = try AllocationsStore.connect(to: info, topic: "t", configuration: Configuration(mode: mode))
            defer { store.connection.close() }
            let settings = try store.connection.query(
                """
                SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) FROM pg_settings
                WHERE name IN ('plan_cache_mode', 'enable_seqscan', 'enable_bitmapscan', 'enable_mergejoin', 'jit',
                               'random_page_cost')
                """
            ).text(0, 0)
            let off = "enable_bitmapscan off, enable_mergejoin off, enable_seqscan off, jit off"
            #expect(settings == "\(off), plan_cache_mode force_generic_plan, random_page_cost 0.1")
        }
    }
}
