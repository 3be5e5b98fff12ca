// The parameters of one statement, laid out as libpq wants them. Owned by one thread.
// This is on the measured path: once its memory has grown to the largest statement, it allocates nothing more.

internal import Glibc

/// Reusable parameters: `reset`, append in the order of the statement's `$1, $2, …`, send, `reset` again.
///
/// The bytes are copied when appended and copied again by libpq when sent, so a buffer is free for the next statement as
/// soon as the call that sends it returns.
@safe
public final class ParameterBuffer {
    /// The type codes of PostgreSQL's catalog, which are fixed.
    enum TypeID {
        static let unspecified: UInt32 = 0
        static let bool: UInt32 = 16
        static let bytes: UInt32 = 17
        static let int64: UInt32 = 20
        static let text: UInt32 = 25
        static let textArray: UInt32 = 1009
        static let int64Array: UInt32 = 1016
    }

    private var memory: UnsafeMutableRawPointer
    private(set) var capacity: Int
    /// Bytes in use.
    private(set) var byteCount = 0
    /// In one piece, because each touch of a class's property that the compiler can't follow costs a check.
    private var columns = Columns()

    /// What libpq wants to know of each parameter.
    @safe private struct Columns {
        /// Where each value starts; -1 is NULL.
        private var offsets: [Int] = []
        private var types: [UInt32] = []
        private var lengths: [Int32] = []
        private var formats: [Int32] = []
        /// Filled in when sending, because the values' memory moves when it grows.
        private var pointers: [UnsafePointer<CChar>?] = unsafe []

        var count: Int { offsets.count }

        mutating func removeAll() {
            offsets.removeAll(keepingCapacity: true)
            types.removeAll(keepingCapacity: true)
            lengths.removeAll(keepingCapacity: true)
            formats.removeAll(keepingCapacity: true)
        }

        mutating func append(offset: Int, type: UInt32, format: Int32) {
            offsets.append(offset)
            types.append(type)
            formats.append(format)
            lengths.append(0)
        }

        /// The value of the last parameter ends at `offset`; as text, unless it must not be.
        mutating func close(at offset: Int, isBinary: Bool) {
            let last = offsets.count - 1
            if offsets[last] >= 0 { lengths[last] = Int32(offset - offsets[last]) }
            if isBinary { formats[last] = 1 }
        }

        mutating func withArrays<R>(
            of memory: UnsafeMutableRawPointer,
            _ body: (
                Int32, UnsafePointer<UInt32>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?,
                UnsafePointer<Int32>?
            ) -> R
        ) -> R {
            unsafe pointers.removeAll(keepingCapacity: true)
            for offset in offsets {
                unsafe pointers.append(
                    offset < 0 ? nil : UnsafePointer((memory + offset).assumingMemoryBound(to: CChar.self)))
            }
            return unsafe types.withUnsafeBufferPointer { types in
                unsafe pointers.withUnsafeBufferPointer { pointers in
                    unsafe lengths.withUnsafeBufferPointer { lengths in
                        unsafe formats.withUnsafeBufferPointer { formats in
                            unsafe body(
                                Int32(offsets.count), types.baseAddress, pointers.baseAddress, lengths.baseAddress,
                                formats.baseAddress)
                        }
                    }
                }
            }
        }
    }

    public init(capacity: Int = 4_096) {
        self.capacity = max(capacity, 64)
        unsafe memory = .allocate(byteCount: self.capacity, alignment: 16)
    }

    public convenience init(_ values: [PostgresValue]) {
        self.init(capacity: 256)
        append(contentsOf: values)
    }

    deinit { unsafe memory.deallocate() }

    /// How many parameters there are.
    public var count: Int { columns.count }

    /// Forgets the parameters and keeps the memory.
    public func reset() {
        byteCount = 0
        columns.removeAll()
    }

    public func appendNull() {
        columns.append(offset: -1, type: TypeID.unspecified, format: 0)
    }

    public func append(int64 value: Int64) {
        open(type: TypeID.int64, format: 1)
        put(value)
        close()
    }

    public func append(bool value: Bool) {
        open(type: TypeID.bool, format: 1)
        put(value ? 1 as UInt8 : 0)
        close()
    }

    /// Text of any type that the statement gives this parameter.
    public func append(text: String) {
        open(type: TypeID.unspecified, format: 0)
        let isCut = putUTF8(text)
        // As text the value would end at its zero byte, unnoticed. In binary the server sees it and refuses it.
        close(isBinary: isCut)
        put(0 as UInt8)
    }

    public func append(bytes: [UInt8]) {
        open(type: TypeID.bytes, format: 1)
        unsafe bytes.withUnsafeBytes { unsafe put($0) }
        close()
    }

    public func append(int64Array values: UnsafeBufferPointer<Int64>) {
        append(int64ArrayOf: values.count) { index in unsafe values[index] }
    }

    public func append(int64Array values: [Int64]) {
        append(int64ArrayOf: values.count) { values[$0] }
    }

    /// An array of `count` numbers that `element` names one by one: saves the array in between.
    public func append(int64ArrayOf count: Int, element: (Int) -> Int64) {
        open(type: TypeID.int64Array, format: 1)
        putArrayHeader(count: count, elementType: TypeID.int64)
        reserve(count * 12)
        // `element` must not append to this buffer: the space it writes to is reserved above, once.
        var position = byteCount
        for index in 0..<count {
            unsafe memory.storeBytes(of: UInt32(8).bigEndian, toByteOffset: position, as: UInt32.self)
            unsafe memory.storeBytes(of: element(index).bigEndian, toByteOffset: position + 4, as: Int64.self)
            position += 12
        }
        byteCount = position
        close()
    }

    public func append(textArray values: [String]) {
        append(textArrayOf: values.count) { values[$0] }
    }

    /// An array of `count` texts that `element` names one by one.
    public func append(textArrayOf count: Int, element: (Int) -> String) {
        open(type: TypeID.textArray, format: 1)
        putArrayHeader(count: count, elementType: TypeID.text)
        for index in 0..<count {
            let lengthAt = byteCount
            put(0 as UInt32)
            putUTF8(element(index))
            let length = UInt32(byteCount - lengthAt - 4)
            unsafe memory.storeBytes(of: length.bigEndian, toByteOffset: lengthAt, as: UInt32.self)
        }
        close()
    }

    public func append(_ value: PostgresValue) {
        switch value {
        case .null: appendNull()
        case .int64(let value): append(int64: value)
        case .text(let text): append(text: text)
        case .bool(let value): append(bool: value)
        case .int64Array(let values): append(int64Array: values)
        case .textArray(let values): append(textArray: values)
        case .bytes(let bytes): append(bytes: bytes)
        }
    }

    public func append(contentsOf values: [PostgresValue]) {
        for value in values { append(value) }
    }

    /// The arrays that PQexecPrepared and its relatives take; valid during the call.
    func withArrays<R>(
        _ body: (
            _ count: Int32, _ types: UnsafePointer<UInt32>?, _ values: UnsafePointer<UnsafePointer<CChar>?>?,
            _ lengths: UnsafePointer<Int32>?, _ formats: UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        unsafe columns.withArrays(of: memory, body)
    }

    private func open(type: UInt32, format: Int32) { columns.append(offset: byteCount, type: type, format: format) }

    /// Notes the length of the value that `open` started.
    private func close(isBinary: Bool = false) { columns.close(at: byteCount, isBinary: isBinary) }

    /// The header of a one-dimensional array without NULLs; an array without elements has no dimension.
    private func putArrayHeader(count: Int, elementType: UInt32) {
        put(count == 0 ? 0 as UInt32 : 1)
        put(0 as UInt32)
        put(elementType)
        guard count > 0 else { return }
        put(UInt32(count))
        put(1 as UInt32)
    }

    private func put<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) {
        reserve(MemoryLayout<Number>.size)
        unsafe memory.storeBytes(of: value.bigEndian, toByteOffset: byteCount, as: Number.self)
        byteCount += MemoryLayout<Number>.size
    }

    private func put(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        reserve(bytes.count)
        unsafe (memory + byteCount).copyMemory(from: base, byteCount: bytes.count)
        byteCount += bytes.count
    }

    /// - Returns: whether there is a zero byte in it.
    @discardableResult
    private func putUTF8(_ text: String) -> Bool {
        let start = byteCount
        var text = text
        text.withUTF8 { unsafe put(UnsafeRawBufferPointer($0)) }
        return unsafe memchr(memory + start, 0, byteCount - start) != nil
    }

    private func reserve(_ count: Int) {
        guard byteCount + count > capacity else { return }
        let grown = max(capacity * 2, byteCount + count)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
        unsafe larger.copyMemory(from: memory, byteCount: byteCount)
        unsafe memory.deallocate()
        unsafe memory = larger
        capacity = grown
    }
}
