// Every pointer that libpq hands out is freed exactly once, on the paths that fail too.

#if DEBUG
    import TestSupport
    import Testing

    @testable import Postgres

    @Suite struct HandleTests {
        @Test func `every handle that is made is freed, whatever fails`() throws {
            let ledger = HandleCount.Ledger()
            try HandleCount.$observed.withValue(ledger) {
                try withTemporaryDatabase { info in try exerciseEverything(info) }
            }
            for kind in HandleCount.Kind.allCases {
                let (made, freed) = ledger.of(kind)
                #expect(made > 0 && made == freed, "\(kind)")
            }
        }

        @Test func `a failed constructor frees its connection`() throws {
            let ledger = HandleCount.Ledger()
            try HandleCount.$observed.withValue(ledger) {
                let info = try ConnectionInfo("host=/nonexistent")
                for _ in 0..<13 {
                    #expect(throws: PostgresError.self) { _ = try PostgresConnection.connect(to: info) }
                    #expect(throws: PostgresError.self) { _ = try ReplicationConnection.connect(to: info) }
                }
                #expect(throws: PostgresError.self) { _ = try ConnectionInfo("nonsense") }
            }
            #expect(ledger.of(.connection) == (made: 26, freed: 26))
            #expect(ledger.of(.conninfo) == (made: 1, freed: 1))
            #expect(ledger.of(.memory) == (made: 1, freed: 1))
        }

        private func exerciseEverything(_ info: ConnectionInfo) throws {
            let connection = try PostgresConnection.connect(to: info)
            let token = connection.cancelToken()
            try connection.execute("CREATE TABLE t (id bigint PRIMARY KEY)")
            #expect(throws: PostgresError.self) { try connection.execute("SELECT 1/0") }
            try connection.prepare("insert", "INSERT INTO t VALUES ($1::bigint)")
            let kept = try connection.executePrepared("insert", parameters: [.int64(1)])
            #expect(throws: PostgresError.self) { try connection.executePrepared("insert", parameters: [.int64(1)]) }
            try connection.copyIn("COPY t FROM STDIN") { writer in
                writer.int64(2)
                try writer.endRow()
            }
            #expect(throws: PostgresError.self) { try connection.copyIn("COPY t FROM STDIN") { try fail(&$0) } }
            try connection.copyOut("COPY t TO STDOUT") { _ in }
            #expect(throws: PostgresError.self) { try connection.execute("COPY t TO STDOUT") }
            let buffer = ParameterBuffer([.int64(1)])
            try connection.enterPipelineMode()
            for _ in 0..<3 { try connection.sendPrepared("insert", parameters: buffer) }
            try connection.exitPipelineMode()
            let stream = try ReplicationConnection.connect(to: info)
            _ = try stream.createLogicalSlot("slot_handles", temporary: true)
            #expect(throws: PostgresError.self) { try stream.startReplication(slot: "x", publication: "p") }
            try token.cancel()
            connection.close()
            #expect(kept.affectedRowCount == 1)
        }

        private func fail(_ writer: inout CopyWriter) throws {
            writer.text("not a number")
            try writer.endRow()
        }
    }
#endif
