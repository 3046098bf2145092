// Somebody else's client at the emulator: browse, read, write, call, subscribe, history.
//
//   node client.js ENDPOINT FOLDER ROOT POLICY…      prints a line of JSON for each policy
//
// User and password come from TAKTTWIN_USER and TAKTTWIN_PASSWORD.
"use strict";
const path = require("node:path");
const opcua = require("node-opcua");
const { AttributeIds, DataType, MessageSecurityMode, SecurityPolicy, StatusCodes, Variant } = opcua;

const NAMESPACE = "urn:takttwin:line:1";
const TAKT = "Line/Setpoints/takt_s";

function connection(policy, folder) {
  const certificates = new opcua.OPCUACertificateManager({
    rootFolder: path.join(folder, "pki"), automaticallyAcceptUnknownCertificate: true,
  });
  return certificates.initialize().then(() => opcua.OPCUAClient.create({
    applicationName: "interop", clientCertificateManager: certificates,
    securityPolicy: SecurityPolicy[policy],
    securityMode: MessageSecurityMode.SignAndEncrypt,
    endpointMustExist: false, connectionStrategy: { maxRetry: 0 },
  }));
}

async function visit(endpoint, folder, root, policy, turn) {
  const client = await connection(policy, folder);
  const identity = {
    type: opcua.UserTokenType.UserName,
    userName: process.env.TAKTTWIN_USER, password: process.env.TAKTTWIN_PASSWORD,
  };
  await client.connect(endpoint);
  const session = await client.createSession(identity);
  const told = { policy: client.securityPolicy };
  const namespaces = (await session.readNamespaceArray());
  const index = namespaces.indexOf(NAMESPACE);
  const at = (name) => `ns=${index};s=${root}/${name}`;

  const below = await session.browse(at("Stations"));
  told.stations = below.references.map((reference) => reference.browseName.name);

  const hash = await session.read({ nodeId: at("Identification/ConfigHash"), attributeId: AttributeIds.Value });
  told.config_hash = hash.value.value;
  const range = await session.translateBrowsePath(opcua.makeBrowsePath(at(`${TAKT}/Active`), ".EURange"));
  told.range = (await session.read({ nodeId: range.targets[0].targetId, attributeId: AttributeIds.Value })).value.value;

  const call = (folderName, method, inputArguments = []) =>
    session.call({ objectId: at(folderName), methodId: at(`${folderName}/${method}`), inputArguments });
  told.remote = (await call("Control", "RequestRemote")).statusCode.name;

  const subscription = await session.createSubscription2({
    requestedPublishingInterval: 50, requestedMaxKeepAliveCount: 10, requestedLifetimeCount: 100,
    maxNotificationsPerPublish: 100, publishingEnabled: true,
  });
  const seen = [];
  const arrived = new Promise((resolve) => {
    subscription
      .monitor({ nodeId: at(`${TAKT}/Active`), attributeId: AttributeIds.Value },
        { samplingInterval: 0, queueSize: 10, discardOldest: true }, opcua.TimestampsToReturn.Both)
      .then((item) => item.on("changed", (value) => {
        seen.push(value.value.value);
        if (seen.length >= 2) resolve();
      }));
  });

  const now = (await session.read({ nodeId: at(`${TAKT}/Active`), attributeId: AttributeIds.Value })).value.value;
  const write = (name, dataType, value) => ({
    nodeId: at(name), attributeId: AttributeIds.Value, value: { value: new Variant({ dataType, value, arrayType: opcua.VariantArrayType.Scalar }) },
  });
  while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const written = await session.write([
    write("Control/ControllerAlive", DataType.Int64, [0, turn]),
    write(`${TAKT}/Request`, DataType.Double, now + 1.0),
    write("Control/RequestSeq", DataType.Int64, [0, turn]),
  ]);
  told.written = written.map((status) => status.name);
  const refused = await session.write(write(`${TAKT}/Active`, DataType.Double, 1.0));
  told.refused = refused.name;
  const mistyped = await session.write(write(`${TAKT}/Request`, DataType.Float, 60.0));
  told.mistyped = mistyped.name;
  await arrived;
  told.seen = seen;

  const pause = await call("Stations/wash/EnergyManagement", "StartPause",
    [new Variant({ dataType: DataType.Double, value: 3.6e6 })]);
  told.pause = pause.outputArguments.map((argument) => argument.value);

  const end = new Date(Date.now() + 3.6e6);
  const start = new Date(Date.now() - 86.4e6);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const [history] = await session.readHistoryValue([{ nodeId: at("Line/EnergyTotal") }], start, end);
  told.history = history.historyData.dataValues.map((value) => value.value.value);
  told.history_status = history.statusCode === StatusCodes.Good ? "Good" : history.statusCode.name;

  await subscription.terminate();
  await session.close();
  await client.disconnect();
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

async function main(endpoint, folder, root, ...policies) {
  for (const [at, policy] of policies.entries()) await visit(endpoint, folder, root, policy, at + 1);
}

main(...process.argv.slice(2)).then(() => process.exit(0)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
