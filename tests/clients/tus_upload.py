"""Uploads a file by tus with tuspy, a public client of the protocol, as it is used from a script.

    tus_upload.py URL FILE PATH [--chunk BYTES] [--checksum] [--store FILE] [--parts N]

GRANARY_USER and GRANARY_PASSWORD name the account. Prints where the file was sent. With --store the address of the
upload is kept in that file, and a second run goes on where the first one was stopped. With --parts the file goes in as
so many parts at once, which are joined in the end.
"""

import argparse
import base64
import concurrent.futures
import io
import os
import sys
from urllib.parse import urlparse

import requests
from tusclient import client
from tusclient.storage import filestorage

RETRIES = 100  # of one request, half a second apart


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("file")
    parser.add_argument("path")
    parser.add_argument("--chunk", type=int, default=sys.maxsize)
    parser.add_argument("--checksum", action="store_true")
    parser.add_argument("--store")
    parser.add_argument("--parts", type=int)
    return parser.parse_args()


def credentials():
    account = "{GRANARY_USER}:{GRANARY_PASSWORD}".format(**os.environ)
    return {"Authorization": "Basic " + base64.b64encode(account.encode()).decode()}


def upload(asked, headers, metadata, **source):
    to = client.TusClient(asked.url, headers=headers)
    options = {}
    if asked.store:
        options = {"store_url": True, "url_storage": filestorage.FileStorage(asked.store)}
    uploader = to.uploader(
        chunk_size=asked.chunk,
        metadata=metadata,
        upload_checksum=asked.checksum,
        retries=RETRIES,
        retry_delay=0.5,
        **source,
        **options,
    )
    uploader.upload()
    return uploader.url


def upload_in_parts(asked, metadata):
    whole = open(asked.file, "rb").read()
    size = -(-len(whole) // asked.parts)
    parts = [io.BytesIO(whole[start : start + size]) for start in range(0, len(whole), size)]
    partial = {**credentials(), "Upload-Concat": "partial"}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sent = list(pool.map(lambda part: upload(asked, partial, {}, file_stream=part), parts))
    encoded = ",".join(key + " " + base64.b64encode(value.encode()).decode() for key, value in metadata.items())
    final = {
        **credentials(),
        "Tus-Resumable": "1.0.0",
        "Upload-Metadata": encoded,
        "Upload-Concat": "final;" + " ".join(urlparse(url).path for url in sent),
    }
    answer = requests.post(asked.url, headers=final)
    if answer.status_code != 201:
        sys.exit(f"{answer.status_code}: {answer.text}")
    return answer.headers["Location"]


def main():
    asked = arguments()
    metadata = {"filename": asked.path, "filetype": "application/octet-stream"}
    if asked.parts:
        print(upload_in_parts(asked, metadata))
    else:
        print(upload(asked, credentials(), metadata, file_path=asked.file))


main()
