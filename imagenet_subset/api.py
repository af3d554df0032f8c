"""The two jobs in one call each: `build` and `verify`. Their skin is the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.run import BuildResult, run_build
from imagenet_subset.building.shards import Progress
from imagenet_subset.building.shown import build_shown, looking
from imagenet_subset.building.start import begun
from imagenet_subset.building.tasks import ShardResult
from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.checking.whole import verify_all
from imagenet_subset.execution.engines import LOCAL, MPI, Engine, check_engine
from imagenet_subset.execution.mpi import on_every_rank
from imagenet_subset.progress.choice import display_for_caller
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import BYTES, Work
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.cores import available_cores
from pipelines.rule import DEFAULT, Interpolation, PixelRule


def build(
    subset_name: str | Path,
    data_dir: str | Path = "./Data/CLS-LOC",
    out_dir: str | Path = "./out_files",
    *,
    out_name: str | None = None,
    resize: int = DEFAULT.resize,
    crop: int = DEFAULT.crop,
    interpolation: Interpolation = DEFAULT.interpolation,
    splits: Sequence[Split] = SPLITS,
    train_list: str | Path | None = None,
    missing: Literal["error", "skip"] = "error",
    per_class: int | None = None,
    fraction: float | None = None,
    photo_list: str | Path | None = None,
    seed: int = 0,
    skip_undecodable: bool = False,
    overwrite: bool = False,
    device: Literal["auto", "gpu", "cpu"] = "auto",
    pipeline: str = "auto",
    full_check: bool = False,
    batch_size: int | None = None,
    gpu: int | Sequence[int] | Literal["all"] | None = None,
    dali_processes: int | None = None,
    workers: int | None = None,
    executor: Engine = LOCAL,
    progress: Progress | bool | None = None,
) -> BuildResult:
    """Build the NPZ and the CSV of a subset, or go on with a build that was interrupted.

    Parameters
    ----------
    subset_name
        ``"imagenet30"``, another file of ``./aux_files`` or of those shipped; the path of a
        ``.txt`` with one WNID per line, or a name, a colon and several, which then share a label;
        or WNIDs with commas between them.
    data_dir
        ImageNet as you have it: ``Data/CLS-LOC`` or a folder above, tars, Kaggle's zip, parquet or
        WebDataset shards; the file, or the folder of the files.
    out_dir
        Gets ``<subset>_cls.npz``, with ``X_* (N, 224, 224, 3) uint8`` and ``y_*``, ``*_id``
        ``(N,) int32``, and ``<subset>_cls_metadata.csv``. With another crop they are
        ``<subset>_cls_<crop>...``.
    out_name
        In place of ``<subset>`` in these names; WNIDs in ``subset_name`` need it.
    resize
        Shorter side of a photo after scaling, in pixels, up to 2048.
    crop
        Both sides of the crop from its middle, in pixels, from 8 to ``resize``.
    interpolation
        How a photo is scaled: ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"box"`` or
        ``"nearest"``, as torchvision's ``Resize`` does it with a PIL image.
    splits
        Splits to build; one that is left out becomes arrays of length 0.
    train_list
        ``train_cls.txt``, where it isn't in ``ImageSets/CLS-LOC`` beside ``Data``.
    missing
        What to do about images that aren't there: refuse, or build without them. Without
        ``train_cls.txt``, photos of incomplete classes have no ILSVRC numbers; ``"skip"`` then
        makes all of ``train_id`` of the photos' names, negative.
    per_class
        Take so many train photos of each class, or all where it has fewer. They are the first in
        the order of the SHA-256 of ``seed:stem``, as ``"3:n01440764_10026"``, among all that ILSVRC
        has of the class: the same for every subset and in every form, and 11 have the 10 among
        them. One that is missing or can't be decoded isn't replaced. Val is as it is without.
    fraction
        Take this share of the train photos of each class in place of a number: above 0, up to 1,
        half a photo is rounded up, and one is taken at least. A float counts as the decimal number
        that Python shows of it.
    photo_list
        Take the train photos that this file names, a stem, a file name or a path a line, as
        SimCLR's ``1percent.txt``; blank lines and ``#`` comments are skipped.
    seed
        A whole number from 0 on, with ``per_class`` or ``fraction``.
    skip_undecodable
        Finish without the images that can't be decoded. Those whose files can't be read are never
        left out.
    overwrite
        Replace a finished file; discard an unfinished one that another build began.
    device
        Where to decode: ``"auto"`` takes the GPU when DALI, CuPy and a CUDA GPU are all there.
    pipeline
        What decodes: on the GPU always ``"dali"``; on the CPU, ``"auto"`` takes turbo if it is
        installed, else Pillow.
    full_check
        Read the whole file back before it gets its name, as is done when an executor is given;
        else its size, one row in 64 and the last row of each array.
    batch_size
        Images per batch; by default what suits the pipeline.
    gpu
        Index of the CUDA device, several, or ``"all"``; the first by default. Once it is given, the
        CPU doesn't decode in place of a GPU that can't be had.
    dali_processes
        Processes of DALI for each GPU; by default 2 where there are 8 cores or more for each, else
        1. On the CPU 1.
    workers
        CPU cores to use; all by default. Not with an engine that is named.
    executor
        ``"local"`` is processes of this machine. ``"dask:tcp://host:8786"`` and
        ``"dask:/shared/scheduler.json"`` are a Dask cluster, ``"mpi"`` the ranks of this job, each
        of which makes this same call and gets its result. Or a `concurrent.futures.Executor`. This
        machine then needs no GPU and no packages of a pipeline: a worker says which pipeline there
        is, and each of the others must have the same, with the same versions. ``gpu`` and
        ``batch_size`` are each worker's, and so are ``workers``, the cores of its pipeline, which
        only an `Executor` takes. All workers must see the same files under the same paths; an
        ``out_dir`` on an SMB share or an object store is refused. Each is asked to prove all this,
        and keeps nothing of the build when it is over. Twice as many pieces of work are under way
        as the executor has workers, if it says how many; else 64, or as many as
        `imagenet_subset.execution.borrowed.Borrowed`, which wraps an executor, says.
    progress
        True shows a bar in a notebook or a terminal, and elsewhere a line every 30 seconds on
        standard error. Or it is called after each piece of work, and when there is something to
        say, with an object whose ``crcs`` has an entry for each of its images (None for one that
        isn't done) and whose ``notices`` are lines to show.

    Returns
    -------
    BuildResult
        ``npz`` and ``csv``, the paths of what was made; ``decoded``, ``kept``, ``seconds``, and
        what else there is to tell; ``to_dict`` has all of it as JSON takes it.

    Raises
    ------
    imagenet_subset.errors.ImagenetSubsetError
        Its subclasses say what is wrong and what to do, in one line.
    pipelines.base.PipelineUnavailableError
        The device or the pipeline can't run here, or on a worker of ``executor``.
    ValueError
        An argument makes no sense.

    Examples
    --------
    Two classes of a small tree of generated photos:

    >>> import tempfile
    >>> from imagenet_subset.demo.tree import write_demo_tree
    >>> folder = tempfile.TemporaryDirectory()
    >>> wnids = ["n12267677", "n02690373"]
    >>> data_dir = write_demo_tree(Path(folder.name), wnids=wnids, train_per_class=5)
    >>> made = build(",".join(wnids), data_dir, folder.name, out_name="two", device="cpu")
    >>> made.npz.name, made.decoded
    ('two_cls.npz', 110)
    >>> verify(made.npz, data_dir).ok
    True
    >>> folder.cleanup()
    """
    options = BuildOptions(
        subset_name,
        data_dir,
        out_dir,
        out_name,
        rule=PixelRule(resize, crop, interpolation),
        splits=splits,
        train_list=train_list,
        missing=missing,
        per_class=per_class,
        fraction=fraction,
        photo_list=photo_list,
        seed=seed,
        skip_undecodable=skip_undecodable,
        overwrite=overwrite,
        full_check=full_check,
        device=device,
        pipeline=pipeline,
        batch_size=batch_size,
        gpu=gpu,
        dali_processes=dali_processes,
        workers=workers,
    )
    if executor == MPI:
        check_engine(executor, workers=options.workers, gpus=options.gpu)
        work = functools.partial(_build, options, executor, progress)
        return on_every_rank(work, share_gpus=options.gpu is None)
    return _build(options, executor, progress)


def _build(
    options: BuildOptions, executor: Engine, progress: Progress | bool | None
) -> BuildResult:
    if callable(progress):
        return _build_told(options, executor, progress)
    with display_for_caller(progress) as display:
        display.begin(looking(options))
        with begun(options, executor, display.tell) as (plan, runner):
            return build_shown(plan, runner, display)


def _build_told(options: BuildOptions, executor: Engine, progress: Progress) -> BuildResult:
    def tell(line: str) -> None:
        progress(ShardResult([], notices=[line]))

    with begun(options, executor, tell) as (plan, runner):
        return run_build(plan, runner=runner, progress=progress)


class _Bytes(Display):
    """Calls something with the bytes of a file as they are read."""

    def __init__(self, progress: Callable[[int], object]) -> None:
        self._progress, self._reads = progress, False

    def begin(self, work: Work) -> None:
        """Note whether this work reads the file."""
        self._reads = work.unit == BYTES

    def advance(self, n: int, earlier: int = 0) -> None:
        """Hand on a number of bytes."""
        if self._reads:
            self._progress(n)


def verify(
    path: str | Path,
    data_dir: str | Path | None = None,
    *,
    train_list: str | Path | None = None,
    photo_list: str | Path | None = None,
    sample: int | None = 200,
    workers: int | None = None,
    progress: Callable[[int], object] | bool | None = None,
) -> VerifyReport:
    """Check a finished NPZ: structure, checksums, labels, ids; with ``data_dir`` its pixels too.

    Where train photos were chosen, the choice is made again, if what it takes is given.

    Parameters
    ----------
    path
        The ``.npz``.
    data_dir
        ImageNet as you have it: ``Data/CLS-LOC`` or a folder above, tars, Kaggle's zip, parquet or
        WebDataset shards; the file, or the folder of the files.
    train_list
        As for `build`. For the choice of train photos it or ``data_dir`` is enough.
    photo_list
        The list of photos that the file was built by.
    sample
        How many photos are decoded again and compared; None for all.
    workers
        CPU cores to use; all by default.
    progress
        True shows how far each check is, as for `build`. Or it is called with numbers of bytes as
        the file is read.

    Returns
    -------
    VerifyReport
        ``ok``, and ``problems`` with a line each; damage is no exception. ``to_dict`` has all as
        JSON takes it.

    Raises
    ------
    imagenet_subset.errors.ReadError
        There is no such file, or the system refuses to open it: whether it is sound is unknown.
    imagenet_subset.errors.SourceError
        The photos can't be found.
    imagenet_subset.errors.SubsetError
        ``photo_list`` isn't the list that the file was built by.
    ValueError
        ``sample`` or ``workers`` is less than 1.
    """
    if sample is not None and sample < 1:
        raise ValueError(f"sample is 1 or more, or None for all, not {sample}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers is 1 or more, or None for all cores, not {workers}")
    cores = workers or available_cores()
    with _Bytes(progress) if callable(progress) else display_for_caller(progress) as display:
        return verify_all(
            path,
            data_dir,
            train_list,
            photo_list,
            sample=sample,
            workers=cores,
            display=display,
        )
