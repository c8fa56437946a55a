"""Bad lines: the long tests of tests/soak, which need time, disk and a registry of their own."""

CASES = 2
# With the program in the profile that users have, each takes some minutes on two cores.
TIMEOUT = 1800


def run(book, workplace):
    book.group("bad lines to docker-registry")
    for name, test in (
        ("1,000 images in random trouble all arrive", "a_thousand_images_arrive_over_bad_lines_at_a_real_registry"),
        ("a layer of 2 GiB that breaks ten times", "a_layer_of_2_gib_that_breaks_ten_times_is_downloaded_once"),
    ):
        book.case(name, _soak, workplace, test)


def _soak(workplace, test):
    told = workplace.run(
        [workplace.soak, "--ignored", "--exact", "--nocapture", test],
        timeout=TIMEOUT,
        environment={"IMAGE_SYNCER_BIN": str(workplace.binary)},
    ).text
    figures = told.split("running 1 test")[-1].split("\ntest result:")[0].strip().splitlines()
    print("".join(f"         {line}\n" for line in figures), end="", flush=True)
