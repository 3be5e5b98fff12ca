// Goal: what real price files hold is read exactly; each kind of bad input has one message that says where and why.

import CSV
import Diagnostics
import Market
import Model
import Reference
import Testing

@Suite struct SecurityFileTests {
    private static let header = "asset_class,symbol,name,market_cap,country,ipo_year,sector,industry\n"

    private func faults(_ rows: String, header: String = header) throws -> [String] {
        let folder = try TemporaryFolder()
        let path = try folder.write("securities.csv", header + rows)
        return faultLines(in: folder) { _ = try SecurityFile.read(path: path) }
    }

    @Test func `rows get their keys in the order of the file, and empty sectors are legal`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            "s.csv", Self.header + "Equity,BRKA,Berkshire,1,United States,,,\nCash,USD,\"Dollar, US\",,US,1776,,\n")
        #expect(
            try SecurityFile.read(path: path) == [
                Security(
                    id: SecurityID(1), symbol: "BRKA", name: "Berkshire", assetClass: "Equity",
                    country: "United States", sector: "", industry: ""),
                Security(
                    id: SecurityID(2), symbol: "USD", name: "Dollar, US", assetClass: "Cash", country: "US",
                    sector: "", industry: ""),
            ])
    }

    @Test func `a symbol twice, a blank symbol, name or class are faults, all in one go`() throws {
        #expect(
            try faults(
                "Equity,A,x,1,US,,,\nEquity,A,y,1,US,,,\nEquity,,z,1,US,,,\nEquity,B C,z,1,US,,,\n"
                    + ",D,,1,US,,,\nEquity,E\n")
                == [
                    "securities.csv:3: symbol: \"A\": expected each symbol only once; "
                        + "this one already stands in line 2",
                    "securities.csv:4: symbol: \"\": expected a symbol without blanks or slashes",
                    "securities.csv:5: symbol: \"B C\": expected a symbol without blanks or slashes",
                    "securities.csv:6: asset_class: \"\": expected an asset class",
                    "securities.csv:6: name: \"\": expected a name",
                    "securities.csv:7: expected 8 columns as in the header, found 2",
                ])
    }

    @Test func `a missing column, no rows and no file are faults`() throws {
        #expect(
            try faults("Equity,A,x,US,s\n", header: "asset_class,symbol,name,country,sectors\n") == [
                "securities.csv:1: sector: expected a column of this name in the header, found \"sectors\"",
                "securities.csv:1: industry: expected a column of this name in the header",
            ])
        #expect(try faults("") == ["securities.csv: expected at least one row after the header"])
        #expect(try faults("", header: "") == ["securities.csv:1: expected a header line, found an empty file"])
        let folder = try TemporaryFolder()
        #expect(
            faultLines(in: folder) { _ = try SecurityFile.read(path: folder.path + "/none.csv") } == [
                "none.csv: expected a readable file (No such file or directory)"
            ])
    }
}

@Suite struct PriceFileTests {
    private static let header = "Date,Open,High,Low,Close,Volume\r\n"

    private func validate(_ rows: String, header: String = header) throws -> (PriceFileSummary, [String]) {
        let folder = try TemporaryFolder()
        let path = try folder.write("ABBV.csv", header + rows)
        let summary = PriceFile(path: path, securityID: SecurityID(7)).validate()
        return (summary, summary.faults.faults.flatMap { folder.lines(of: $0) })
    }

    private func faults(_ rows: String) throws -> [String] { try validate(rows).1 }

    @Test func `prices are read to the tick, times of day are dropped, a volume of 0 is legal`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            "ABBV.csv",
            Self.header + "12/10/2012 16:00:00,37,37,34.91,35,749378\r\n1/2/2013 9:05:07,0.0001,24600,0.0001,1.50,0")
        var prices: [DailyPrice] = []
        try PriceFile(path: path, securityID: SecurityID(7)).forEach { prices.append($0) }
        let dates = [TradeDate(iso: "2012-12-10"), TradeDate(iso: "2013-01-02")].compactMap(\.self)
        #expect(
            prices == [
                DailyPrice(
                    securityID: SecurityID(7), date: dates[0], open: Price(ticks: 370_000), high: Price(ticks: 370_000),
                    low: Price(ticks: 349_100), close: Price(ticks: 350_000), volume: 749_378),
                DailyPrice(
                    securityID: SecurityID(7), date: dates[1], open: Price(ticks: 1), high: Price(ticks: 246_000_000),
                    low: Price(ticks: 1), close: Price(ticks: 15_000), volume: 0),
            ])
    }

    @Test func `a summary has the latest day, wherever it stands, and the open of the day asked for`() throws {
        let folder = try TemporaryFolder()
        let rows = "1/3/2024 16:00:00,3,3,3,3,1\n1/4/2024 16:00:00,4,4,4,4,1\n1/2/2024 16:00:00,2,2,2,2,1\n"
        let file = PriceFile(path: try folder.write("A.csv", Self.header + rows), securityID: SecurityID(1))
        let summary = file.validate(openOn: TradeDate(iso: "2024-01-03"))
        #expect(summary.rowCount == 3)
        #expect(summary.lastDate?.description == "2024-01-04")
        #expect(summary.openOnLastDate == Price(ticks: 40_000))
        #expect(summary.openOnDate == Price(ticks: 30_000))
        #expect(file.validate(openOn: TradeDate(iso: "2024-01-05")).openOnDate == nil)
    }

    @Test(arguments: [
        ("x,37,34.91,35,1", "Open: \"x\": expected a price such as 12.50"),
        (",37,34.91,35,1", "Open: \"\": expected a price such as 12.50"),
        ("1e3,37,34.91,35,1", "Open: \"1e3\": expected a price such as 12.50"),
        ("\"36,5\",37,34.91,35,1", "Open: \"36,5\": expected a price such as 12.50"),
        (" 36,37,34.91,35,1", "Open: \" 36\": expected a price such as 12.50"),
        ("36,34,34.91,35,1", "High: \"34\": expected a price of at least Low, 34.9100"),
        ("38,37,34.91,35,1", "Open: \"38\": expected a price from Low, 34.9100, to High, 37.0000"),
        ("34.9,37,34.91,35,1", "Open: \"34.9\": expected a price from Low, 34.9100, to High, 37.0000"),
        ("36,37,34.91,37.0001,1", "Close: \"37.0001\": expected a price from Low, 34.9100, to High, 37.0000"),
        ("0,37,34.91,35,1", "Open: \"0\": expected a price above 0"),
        ("0.0000,37,34.91,35,1", "Open: \"0.0000\": expected a price above 0"),
        ("36,37,-34.91,35,1", "Low: \"-34.91\": expected a price above 0"),
        ("36.12345,37,34.91,35,1", "Open: \"36.12345\": expected at most 4 decimals"),
        (
            "36,123456789012345,34.91,35,1",
            "High: \"123456789012345\": expected at most 14 digits before the decimal point"
        ),
        ("36,37,34.91,35,-1", "Volume: \"-1\": expected a volume of 0 or more"),
        ("36,37,34.91,35,1.5", "Volume: \"1.5\": expected a whole number such as 1200"),
        ("36,37,34.91,35,", "Volume: \"\": expected a whole number such as 1200"),
        (
            "36,37,34.91,35,99999999999999999999",
            "Volume: \"99999999999999999999\": expected a volume of at most 9223372036854775807"
        ),
    ]) func `a bad number is one fault that names its column`(_ values: String, _ expected: String) throws {
        #expect(try faults("12/10/2012 16:00:00,\(values)\r\n") == ["ABBV.csv:2: \(expected)"])
    }

    @Test(arguments: [
        ("2012-12-10", "a US date with a time, such as 12/31/2012 16:00:00"),
        ("12/10/12 16:00:00", "a US date with a time, such as 12/31/2012 16:00:00"),
        ("12/10/2012 4pm", "a US date with a time, such as 12/31/2012 16:00:00"),
        ("", "a US date with a time, such as 12/31/2012 16:00:00"),
        ("2/30/2012 16:00:00", "a day and a time that exist, month first"),
        ("31/12/2012 16:00:00", "a day and a time that exist, month first"),
        ("2/29/2023", "a day and a time that exist, month first"),
        ("12/10/2012 24:00:00", "a day and a time that exist, month first"),
    ]) func `a date that isn't one is a fault`(_ date: String, _ expected: String) throws {
        #expect(try faults("\(date),36,37,34.91,35,1\r\n") == ["ABBV.csv:2: Date: \"\(date)\": expected \(expected)"])
    }

    @Test(arguments: ["2/29/2024 0:00:00", "12/31/1999 23:59:59", "1/1/1970"])
    func `odd days and times of day are legal`(_ date: String) throws {
        #expect(try faults("\(date),36,37,34.91,35,1\r\n").isEmpty)
    }

    @Test func `a day twice is a fault that names the first line, whatever the time of day`() throws {
        let expected = "each day only once; 2012-12-10 already stands in line 2"
        let rows = "12/10/2012 16:00:00,36,37,34.91,35,1\n12/11/2012 16:00:00,36,37,34.91,35,1\n"
        #expect(
            try faults(rows + "12/10/2012 13:00:00,36,37,34.91,35,1\n12/10/2012,36,37,34.91,35,1\n") == [
                "ABBV.csv:4: Date: \"12/10/2012 13:00:00\": expected \(expected)",
                "ABBV.csv:5: Date: \"12/10/2012\": expected \(expected)",
            ])
    }

    @Test func `every fault of a file is found in one go`() throws {
        #expect(
            try faults("bad,x,37,34.91,40,y\n12/10/2012 16:00:00,1\n12/11/2012 16:00:00,36,37,0,\"35\"z,1\n") == [
                "ABBV.csv:2: Date: \"bad\": expected a US date with a time, such as 12/31/2012 16:00:00",
                "ABBV.csv:2: Open: \"x\": expected a price such as 12.50",
                "ABBV.csv:2: Volume: \"y\": expected a whole number such as 1200",
                "ABBV.csv:2: Close: \"40\": expected a price from Low, 34.9100, to High, 37.0000",
                "ABBV.csv:3: expected 6 columns as in the header, found 2",
                "ABBV.csv:4: expected a comma or the end of the line after a closing quote",
            ])
    }

    @Test func `no rows, no header and a missing column are faults`() throws {
        #expect(try faults("") == ["ABBV.csv: expected at least one row after the header"])
        #expect(try validate("", header: "").1 == ["ABBV.csv:1: expected a header line, found an empty file"])
        #expect(
            try validate("", header: "Date,Open,High,Low,Volum\n").1 == [
                "ABBV.csv:1: Close: expected a column of this name in the header",
                "ABBV.csv:1: Volume: expected a column of this name in the header, found \"Volum\"",
            ])
    }

    @Test func `a folder offers the files of known symbols and refuses strangers`() throws {
        let folder = try TemporaryFolder()
        for name in ["p/B.csv", "p/A.csv", "p/ZZ.csv", "p/notes.txt", "p/.hidden.csv"] {
            try folder.write(name, "x")
        }
        var faults = FaultCollector()
        let files = PriceFolder.files(
            in: folder.path + "/p/", securityIDs: ["A": SecurityID(1), "B": SecurityID(2), "C": SecurityID(3)],
            securitiesPath: "s.csv", faults: &faults)
        #expect(files.map(\.path) == [folder.path + "/p/A.csv", folder.path + "/p/B.csv"])
        #expect(files.map(\.securityID) == [SecurityID(1), SecurityID(2)])
        #expect(
            faults.faults.flatMap { folder.lines(of: $0) } == [
                "p/ZZ.csv: symbol: \"ZZ\": expected a symbol of s.csv"
            ])
    }

    @Test func `a folder that isn't there and one without price files are faults`() throws {
        let folder = try TemporaryFolder()
        folder.makeFolder("empty")
        var faults = FaultCollector()
        for name in ["none", "empty"] {
            _ = PriceFolder.files(
                in: "\(folder.path)/\(name)", securityIDs: nil, securitiesPath: "s.csv", faults: &faults)
        }
        #expect(
            faults.faults.flatMap { folder.lines(of: $0) } == [
                "none: expected a readable folder (No such file or directory)",
                "empty: expected a folder with a file per symbol, such as ABBV.csv",
            ])
    }
}
