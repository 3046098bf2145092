// Somebody else's reader of our NodeSet2 file: prints how many nodes it made of it, and some of them.
//
//   node nodeset.js FILE ROOT
"use strict";
const opcua = require("node-opcua");
const { AddressSpace, nodesets } = opcua;
const { generateAddressSpace } = require("node-opcua-address-space/nodeJS");

async function main(file, root) {
  const space = AddressSpace.create();
  await generateAddressSpace(space, [nodesets.standard, file]);
  const index = space.getNamespaceIndex("urn:takttwin:line:1");
  const at = (name) => space.findNode(`ns=${index};s=${root}/${name}`);
  const feed = at("Stations/turning/Setpoints/feed_mm/Active");
  const range = feed.getPropertyByName("EURange").readValue().value.value;
  const told = {
    nodes: [...space.getNamespace(index).nodeIterator()].length,
    type: feed.typeDefinitionObj.browseName.name,
    range: [range.low, range.high],
    unit: feed.getPropertyByName("EngineeringUnits").readValue().value.value.displayName.text,
    high_limit: at("Stations/turning/Setpoints/feed_mm/HighLimit").readValue().value.value,
    takes: at("Control/ApplySetpoints").getInputArguments().map((argument) => argument.name),
  };
  space.dispose();
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

main(...process.argv.slice(2)).then(() => process.exit(0)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
