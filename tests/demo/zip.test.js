import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

import { csv, newGroup, toZip } from '../../src/snaptune/demo/site/collection.js';
import { crc32, zip } from '../../src/snaptune/demo/site/zip.js';

const PYTHON = process.env.PYTHON ?? 'python3';
const READ = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    print(json.dumps({name: archive.read(name).decode('utf-8') for name in archive.namelist()}))
`;

/** What Python's zipfile, which checks every CRC, finds in the zip. */
async function unzipped(blob) {
  const path = join(mkdtempSync(join(tmpdir(), 'zip-')), 'test.zip');
  writeFileSync(path, new Uint8Array(await blob.arrayBuffer()));
  return JSON.parse(execFileSync(PYTHON, ['-c', READ, path], { encoding: 'utf-8' }));
}

const bytes = (text) => new TextEncoder().encode(text);
const picture = (text, type) => new Blob([text], { type });

test('crc32 gives the published check value', () => {
  assert.equal(crc32(bytes('123456789')), 0xcbf43926);
  assert.equal(crc32(bytes('')), 0);
});

test('another program reads what zip wrote', async () => {
  const archive = zip([
    { name: 'a.txt', bytes: bytes('first') },
    { name: 'folder/ü ñ.txt', bytes: bytes('') },
    { name: 'b.txt', bytes: bytes('x'.repeat(70_000)) },
  ]);
  assert.deepEqual(await unzipped(archive), { 'a.txt': 'first', 'folder/ü ñ.txt': '', 'b.txt': 'x'.repeat(70_000) });
});

test('an empty zip is one too', async () => {
  assert.deepEqual(await unzipped(zip([])), {});
});

test('the same entries give the same bytes', async () => {
  const write = async () => Buffer.from(await zip([{ name: 'a', bytes: bytes('a') }]).arrayBuffer()).toString('hex');
  assert.equal(await write(), await write());
});

test('csv quotes what needs it', () => {
  assert.equal(csv([['file', 'label'], ['1.jpg', 'left, "up"']]), 'file,label\r\n1.jpg,"left, ""up"""\r\n');
});

test('the zip holds the pictures and a table of labels and group', async () => {
  const collection = [
    { picture: picture('one', 'image/jpeg'), label: 'palm' },
    { picture: picture('two', 'image/png'), label: 'peace, inverted' },
    { picture: picture('three', ''), label: 'Faust' },
  ];
  assert.deepEqual(await unzipped(await toZip(collection, 'demo-1')), {
    'labels.csv':
      'file,label,group\r\npictures/0001.jpg,palm,demo-1\r\n' +
      'pictures/0002.png,"peace, inverted",demo-1\r\npictures/0003.jpg,Faust,demo-1\r\n',
    'pictures/0001.jpg': 'one',
    'pictures/0002.png': 'two',
    'pictures/0003.jpg': 'three',
  });
});

test('every visit has a group of its own', () => {
  assert.match(newGroup(), /^demo-\d{4}-\d\d-\d\d-[0-9a-f]{8}$/);
  assert.notEqual(newGroup(), newGroup());
});
