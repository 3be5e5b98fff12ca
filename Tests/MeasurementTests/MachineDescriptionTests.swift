// The description of a machine from fixed files, and of this one.

import Testing

@testable import Measurement

@Suite struct MachineDescriptionTests {
    @Test func `this machine has cores, memory, a kernel and a name`() {
        let machine = MachineDescription.current()
        #expect(machine.coreCount >= 1)
        #expect(machine.memoryBytes > 1 << 26)
        #expect(machine.kernel != "unknown")
        #expect(machine.architecture != "unknown")
        #expect(!machine.cpuModel.isEmpty)
        #expect(!machine.operatingSystem.isEmpty)
    }

    @Test func `the fields come from their lines`() {
        let machine = MachineDescription(
            cpuInfo: "processor\t: 0\nmodel name\t: Some CPU @ 2.5 GHz: rev 2\nprocessor\t: 1\nmodel name\t: Other\n",
            memoryInfo: "MemTotal:       16323428 kB\nMemFree: 1 kB\n", kernel: "6.1.0-18-amd64\n",
            architecture: "x86_64", release: "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
            coreCount: 2)
        #expect(
            machine
                == MachineDescription(
                    cpuModel: "Some CPU @ 2.5 GHz: rev 2", coreCount: 2, memoryBytes: 16_323_428 * 1024,
                    kernel: "6.1.0-18-amd64", architecture: "x86_64", operatingSystem: "Debian GNU/Linux 12 (bookworm)")
        )
    }

    @Test func `what can't be found out is unknown`() {
        let machine = MachineDescription(
            cpuInfo: "processor\t: 0\n", memoryInfo: "MemTotal: lots\n", kernel: "", architecture: "", release: "",
            coreCount: -1)
        #expect(
            machine
                == MachineDescription(
                    cpuModel: "unknown", coreCount: 0, memoryBytes: 0, kernel: "unknown", architecture: "unknown",
                    operatingSystem: "unknown"))
    }
}
