// A PLC of somebody else: a node-opcua server with an address space of its own, in a process of its own.
//
//   node plc.js FOLDER       prints {"endpoint": …}, then each setpoint that it receives, one JSON a line
//
// Five machines that work in cycles of a few seconds. Setpoints are typed tags (Float, UInt16, Boolean),
// taken when the sequence number moves; two machines sleep by the methods of OPC 34100. A watchdog looks
// for the heartbeat: without it the PLC takes over, and that is latched.
"use strict";
const path = require("node:path");
const opcua = require("node-opcua");
const { DataType, StatusCodes, Variant, standardUnits } = opcua;

const NAMESPACE = "urn:acme:plc";
const TICK_MS = 50;
const WATCHDOG_MS = 6000;
const MACHINES = ["Turning", "Milling", "Drilling", "Wash", "Inspection"];
const FEED_UM = { Turning: 250, Milling: 150, Drilling: 200 };
const BUFFERS = ["Infeed", "B_Turned", "B_Milled", "B_Drilled", "B_Washed"];
const IDLE = 4, SUSPENDED = 5, EXECUTE = 6; // PackML
const AUTO = 2, REMOTE = 3;
const READY = 2, SAVING = 4; // StandbyManagementStatus of OPC 34100

const say = (record) => process.stdout.write(JSON.stringify(record) + "\n");

class Plc {
  constructor(server) {
    this.space = server.engine.addressSpace;
    this.ns = this.space.registerNamespace(NAMESPACE);
    this.tags = new Map();
    this.asked = new Map();
    this.mode = AUTO;
    this.shed = 0;
    this.heard = Date.now();
    this.count = 0;
    this.good = 0;
    this.kwh = 0.0;
    this.machines = new Map(MACHINES.map((name, n) => [name, { n, asleep: false, work: 0, ops: 0, kwh: 0 }]));
    this.build();
  }

  build() {
    const line = this.folder(this.space.rootFolder.objects, "Line1");
    this.tag(line, "GoodParts", DataType.UInt32, 0);
    this.tag(line, "TotalEnergy", DataType.Double, 0, { unit: standardUnits.kilowatt_hour });
    this.tag(line, "Power", DataType.Float, 0, { unit: standardUnits.watt, range: [0, 200000] });
    this.setpoint(line, "Takt", DataType.UInt16, 72, 20, 600);
    const buffers = this.folder(line, "Buffers");
    for (const name of BUFFERS) this.tag(buffers, `${name}.Level`, DataType.UInt16, 0);
    for (const name of MACHINES) this.machine(line, name);
    this.control(line);
  }

  machine(line, name) {
    const at = this.folder(line, name);
    this.tag(at, `${name}.State`, DataType.Int16, SUSPENDED);
    this.tag(at, `${name}.PartsCount`, DataType.UInt32, 0);
    this.tag(at, `${name}.Energy`, DataType.Double, 0, { unit: standardUnits.kilowatt_hour });
    this.tag(at, `${name}.Power`, DataType.Float, 0, { unit: standardUnits.watt, range: [0, 60000] });
    this.setpoint(at, `${name}.StandbyAfter`, DataType.UInt32, 1000000, 10, 1000000);
    if (name in FEED_UM) {
      this.setpoint(at, `${name}.CuttingSpeed`, DataType.Float, name === "Drilling" ? 80 : 200, 40, 600);
      this.setpoint(at, `${name}.Feed`, DataType.Float, FEED_UM[name], 10, 1000);
      this.setpoint(at, `${name}.Sleep`, DataType.Boolean, false);
    } else {
      this.standby(at, name);
    }
  }

  standby(at, name) {
    const machine = this.machines.get(name);
    const energy = this.folder(at, `${name}.Ecm`);
    this.tag(energy, `${name}.StandbyManagementStatus`, DataType.Byte, READY);
    const byte = (n) => new Variant({ dataType: DataType.Byte, value: n });
    const ms = (n) => new Variant({ dataType: DataType.Double, value: n });
    const move = (asleep) => (input, context, done) => {
      if (this.mode !== REMOTE) return done(null, { statusCode: StatusCodes.BadUserAccessDenied });
      machine.asleep = asleep;
      const value = asleep ? 1 : 0;
      say({ signal: `${name}.${asleep ? "StartPause" : "EndPause"}`, value, pause_ms: asleep ? input[0].value : 0 });
      this.set(`${name}.StandbyManagementStatus`, asleep ? SAVING : READY);
      const outputArguments = asleep ? [byte(1), ms(0), ms(1000), ms(0), byte(0)] : [ms(1000), byte(0)];
      return done(null, { statusCode: StatusCodes.Good, outputArguments });
    };
    const argument = (name_, dataType) => ({ name: name_, description: { text: "" }, dataType });
    const start = this.ns.addMethod(energy, {
      nodeId: `s=${name}.StartPause`, browseName: "StartPause",
      inputArguments: [argument("PauseTime", DataType.Double)],
      outputArguments: ["ModeID", "CurrentTimeToDestination", "RegularTimeToOperate", "TimeMinLengthOfStay", "ReturnCode"]
        .map((n) => argument(n, n === "ModeID" || n === "ReturnCode" ? DataType.Byte : DataType.Double)),
    });
    start.bindMethod(move(true));
    const end = this.ns.addMethod(energy, {
      nodeId: `s=${name}.EndPause`, browseName: "EndPause", inputArguments: [],
      outputArguments: [argument("CurrentTimeToOperate", DataType.Double), argument("ReturnCode", DataType.Byte)],
    });
    end.bindMethod(move(false));
  }

  control(line) {
    const at = this.folder(line, "Control");
    this.tag(at, "Mode", DataType.Int16, AUTO);
    this.tag(at, "StatusWord", DataType.UInt16, 0b100); // bit 2: remote control is permitted; bit 5: shed
    this.tag(at, "PlcCounter", DataType.UInt32, 0);
    this.tag(at, "SeqEcho", DataType.UInt32, 0);
    this.tag(at, "LoopAlive", DataType.UInt16, 0, { written: () => { this.heard = Date.now(); } });
    this.tag(at, "SeqRequest", DataType.UInt32, 0, { written: (value) => this.commit(value) });
    this.tag(at, "RemoteRequest", DataType.Boolean, false, { written: (value) => this.remote(value) });
    const reset = this.ns.addMethod(at, { nodeId: "s=ResetShed", browseName: "ResetShed", inputArguments: [], outputArguments: [] });
    reset.bindMethod((_input, _context, done) => {
      this.shed = 0;
      done(null, { statusCode: StatusCodes.Good, outputArguments: [] });
    });
  }

  folder(parent, name) {
    return this.ns.addObject({ nodeId: `s=${name}`, browseName: name.split(".").pop(), organizedBy: parent });
  }

  tag(parent, name, dataType, value, { unit, range, written } = {}) {
    const options = {
      nodeId: `s=${name}`, browseName: name.split(".").pop(), componentOf: parent, dataType,
      minimumSamplingInterval: 0,
      accessLevel: written ? "CurrentRead | CurrentWrite" : "CurrentRead",
      userAccessLevel: written ? "CurrentRead | CurrentWrite" : "CurrentRead",
      value: new Variant({ dataType, value }),
    };
    if (unit !== undefined) {
      options.engineeringUnits = unit;
      options.engineeringUnitsRange = range ? { low: range[0], high: range[1] } : { low: 0, high: 1e9 };
    }
    const node = unit === undefined ? this.ns.addVariable(options) : this.ns.addAnalogDataItem(options);
    this.tags.set(name, { node, dataType });
    if (written) {
      node.on("value_changed", (changed) => written(changed.value.value));
    }
    return node;
  }

  setpoint(parent, name, dataType, value, low, high) {
    this.tag(parent, `${name}.Actual`, dataType, value);
    this.tag(parent, `${name}.Set`, dataType, value, { written: (asked) => this.asked.set(name, { asked, low, high }) });
    this.tags.get(`${name}.Set`).node.browseName.name = `${name.split(".").pop()}Set`;
    this.tags.get(`${name}.Actual`).node.browseName.name = `${name.split(".").pop()}Actual`;
  }

  set(name, value) {
    const { node, dataType } = this.tags.get(name);
    node.setValueFromSource(new Variant({ dataType, value }));
  }

  commit(sequence) {
    for (const [name, { asked, low, high }] of this.asked) {
      const fits = typeof asked === "boolean" || (low <= asked && asked <= high);
      say({ signal: name, value: Number(asked), sequence, result: this.mode !== REMOTE ? "NOT_REMOTE" : fits ? "OK" : "OUT_OF_RANGE" });
      if (this.mode !== REMOTE || !fits) continue;
      this.set(`${name}.Actual`, asked);
      const [machine, tag] = name.split(".");
      if (tag === "Sleep") this.machines.get(machine).asleep = asked;
    }
    this.asked.clear();
    this.set("SeqEcho", sequence);
  }

  remote(wanted) {
    if (wanted && this.shed === 0) {
      this.mode = REMOTE;
      this.heard = Date.now();
    } else if (!wanted && this.mode === REMOTE) {
      this.mode = AUTO;
    }
    say({ signal: "RemoteRequest", value: Number(wanted), mode: this.mode });
  }

  tick() {
    if (this.mode === REMOTE && Date.now() - this.heard > WATCHDOG_MS) {
      this.mode = AUTO;
      this.shed = 1;
      say({ signal: "Watchdog", value: 1 });
    }
    let kw = 0.0;
    for (const [name, machine] of this.machines) {
      machine.work = machine.asleep ? 0 : (machine.work + TICK_MS) % 4000;
      const works = !machine.asleep && machine.work >= 1000;
      if (works && machine.work >= 4000 - TICK_MS) {
        machine.ops += 1;
        this.set(`${name}.PartsCount`, machine.ops);
        if (name === "Inspection") this.set("GoodParts", ++this.good);
      }
      const own = machine.asleep ? 0.5 : works ? 8.0 : 3.0;
      kw += own;
      machine.kwh += (own * TICK_MS) / 3.6e6;
      const state = machine.asleep ? IDLE : works ? EXECUTE : SUSPENDED;
      if (state !== machine.state) this.set(`${name}.State`, (machine.state = state));
      this.set(`${name}.Energy`, machine.kwh);
      if (Math.abs(own - (machine.own ?? 0)) > 0) this.set(`${name}.Power`, (machine.own = own) * 1000);
    }
    this.kwh += (kw * TICK_MS) / 3.6e6;
    this.set("TotalEnergy", this.kwh);
    this.set("Power", kw * 1000);
    this.set("PlcCounter", (this.count = (this.count + 1) >>> 0));
    this.set("Mode", this.mode);
    this.set("StatusWord", 0b100 | (this.shed << 5));
  }
}

const OPEN = {
  securityPolicies: [opcua.SecurityPolicy.None], securityModes: [opcua.MessageSecurityMode.None],
  allowAnonymous: true,
};

// Encrypted and signed, and for one user alone.
function closed(user) {
  const { Aes256_Sha256_RsaPss, Aes128_Sha256_RsaOaep, Basic256Sha256 } = opcua.SecurityPolicy;
  return {
    securityPolicies: [Aes256_Sha256_RsaPss, Aes128_Sha256_RsaOaep, Basic256Sha256],
    securityModes: [opcua.MessageSecurityMode.SignAndEncrypt],
    allowAnonymous: false,
    userManager: { isValidUser: (name, password) => `${name}:${password}` === user },
  };
}

async function main(folder, user) {
  const certificates = new opcua.OPCUACertificateManager({
    rootFolder: path.join(folder, "pki"), automaticallyAcceptUnknownCertificate: true,
  });
  await certificates.initialize();
  const server = new opcua.OPCUAServer({
    port: 0, hostname: "127.0.0.1", resourcePath: "/plc", serverCertificateManager: certificates,
    ...(user ? closed(user) : OPEN), serverInfo: { applicationUri: "urn:acme:plc:server" },
    serverCapabilities: { maxSessions: 10 },
  });
  await server.initialize();
  const plc = new Plc(server);
  await server.start();
  const timer = setInterval(() => plc.tick(), TICK_MS);
  const port = server.endpoints[0].port;
  say({ endpoint: `opc.tcp://127.0.0.1:${port}/plc`, certificate: server.certificateFile });
  const stop = async () => {
    clearInterval(timer);
    await server.shutdown(0);
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.stdin.on("end", stop).resume(); // it ends with whoever started it
}

main(process.argv[2], process.argv[3]).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
